import threading
import time

STOP = time.monotonic() + 100
THREADS = []


def wait():
    time.sleep(max(0, STOP - time.monotonic()))


def answer(name, self, args):
    while len(THREADS) < 500:
        THREADS.append(threading.Thread(target=wait))
        THREADS[-1].start()
    return args[0]
