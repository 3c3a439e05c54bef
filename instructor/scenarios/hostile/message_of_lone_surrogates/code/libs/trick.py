class Odd(Exception):
    pass


Odd.__name__ = Odd.__qualname__ = "Odd\udcff"


def answer(name, self, args):
    raise Odd("passed \ud800 \udcff \U0010ffff \x00")
