import numpy as np


def answer(name, self, args):
    array = np.zeros(tuple(args[0].shape), np.float32)
    if name == "q_sample":
        return {"__array__": ["float32", list(array.shape)]}
    if name == "p_sample":
        return {"tensor": "float32", "device": "cpu", "shape": [10**18], "array": array}
    return {"tensor": "float32", "device": "cpu", "shape": list(args[0].shape), "array": None}
