class Away(BaseException):
    pass


def answer(name, self, args):
    if name == "forward":
        raise GeneratorExit
    raise Away("gone")
