"""What the sandbox's tests run inside a worker in place of the code that serves the judge."""

import attacks  # noqa: F401  for texts that import it, when its file is out of reach
import numpy as np
from autograder.sandbox.wire import Channel


def serve(channel: Channel, code_folder: str) -> None:
    """Answer {"code": text} with the text's `result`, or with the error it raised."""
    while True:
        names = {"code_folder": code_folder, "np": np, "result": None}
        try:
            exec(channel.receive()["code"], names)
        except Exception as error:
            # A worker that has no memory left must still be able to say so.
            answer = {"error": type(error).__name__, "number": getattr(error, "errno", None)}
        else:
            answer = {"result": names["result"]}
        channel.send(answer)
