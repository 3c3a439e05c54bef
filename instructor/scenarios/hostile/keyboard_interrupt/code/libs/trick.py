def answer(name, self, args):
    raise KeyboardInterrupt
