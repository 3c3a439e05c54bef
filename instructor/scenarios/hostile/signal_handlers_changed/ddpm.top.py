import signal


def save_and_go_on(number, frame):
    print("saving a checkpoint")


signal.signal(signal.SIGINT, save_and_go_on)
signal.signal(signal.SIGTERM, save_and_go_on)
