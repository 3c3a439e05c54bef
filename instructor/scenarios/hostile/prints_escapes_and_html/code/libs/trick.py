import os
import sys

ODD = [
    "\x1b[2J\x1b[H\x1b]0;passed\x07\x1b[31m",
    "</pre><script>document.title = 'gotcha'</script><img src=x onerror=alert(1)>",
    "\u202epassed \u2066 \ufeff \x00 \x08\x08\x08 \r12 of 12",
    "{{ 7 * 7 }} {% raw %} ${HOME} `id` $(id)",
]


def answer(name, self, args):
    print(*ODD, sep="\n", flush=True)
    print(*ODD, sep="\n", file=sys.stderr, flush=True)
    os.write(1, bytes(range(256)))
    raise RuntimeError(" ".join(ODD))
