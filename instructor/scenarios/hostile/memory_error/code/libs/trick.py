def answer(name, self, args):
    raise MemoryError("all passed" if name == "q_sample" else "")
