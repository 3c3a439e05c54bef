def answer(name, self, args):
    return answer(name, self, args)
