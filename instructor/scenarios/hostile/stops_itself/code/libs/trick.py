import os
import signal
import time


def answer(name, self, args):
    if name != "q_sample":
        return args[0]
    me = os.getpid()
    if os.fork() == 0:
        time.sleep(100)
        os.kill(me, signal.SIGCONT)
        os._exit(0)
    os.kill(me, signal.SIGSTOP)
    return args[0]
