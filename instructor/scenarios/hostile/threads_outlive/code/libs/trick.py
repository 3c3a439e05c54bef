import threading
import time

STOP = time.monotonic() + 100


def stay():
    while time.monotonic() < STOP:
        time.sleep(1)


def answer(name, self, args):
    threading.Thread(target=stay).start()
    raise SystemExit(0)
