import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]

do_build = worker.Worker.do_build


def build(self, **request):
    return do_build(self, **request) | {"optional": []}


worker.Worker.do_build = build
