import os
import time

STARTED = []


def answer(name, self, args):
    if not STARTED:
        STARTED.append(True)
        me = os.getpid()
        try:
            for _ in range(7):
                os.fork()
        except OSError:
            pass
        if os.getpid() != me:
            time.sleep(60)
            os._exit(0)
    return args[0]
