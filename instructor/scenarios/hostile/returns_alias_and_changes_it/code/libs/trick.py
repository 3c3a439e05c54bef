import threading


def keep_on(x):
    for _ in range(100_000):
        x.mul_(-1)


def answer(name, self, args):
    threading.Thread(target=keep_on, args=(args[0],), daemon=True).start()
    return args[0]
