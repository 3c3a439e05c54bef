def answer(name, self, args):
    if name == "forward":
        return self(*args)
    return self.p_sample(self.q_sample(args[0], args[-1]), args[-1], args[-1], 0)
