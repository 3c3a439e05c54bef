import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    while name == "p_sample" and time.monotonic() < STOP:
        try:
            self.model(*args)
        except Exception:
            time.sleep(0.001)
    return args[0]
