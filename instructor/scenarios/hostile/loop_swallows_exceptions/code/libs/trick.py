import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    while name == "q_sample" and time.monotonic() < STOP:
        try:
            time.sleep(1)
        except BaseException:
            continue
    return args[0]
