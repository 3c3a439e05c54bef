import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]

NAN = float("nan")
worker.Worker.gradients = lambda self, result: dict.fromkeys(self.doubles, NAN)
