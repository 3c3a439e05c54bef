import contextlib
import threading
import time


def keep_on(call, args):
    stop = time.monotonic() + 60
    while time.monotonic() < stop:
        with contextlib.suppress(Exception):
            call(*args)


def answer(name, self, args):
    call = getattr(self, "model", None) or self.conv_in
    threading.Thread(target=keep_on, args=(call, args), daemon=True).start()
    return args[0]
