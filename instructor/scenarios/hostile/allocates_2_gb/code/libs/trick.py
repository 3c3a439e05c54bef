KEPT = []


def answer(name, self, args):
    while len(KEPT) < 32:
        KEPT.append(bytearray(b"x" * (64 << 20)))
    return args[0]
