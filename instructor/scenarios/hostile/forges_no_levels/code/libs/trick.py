import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]

send = worker.Channel.send


def forge(channel, message, deadline=None):
    if "structure" in message:
        message = {"structure": {"encoder": [], "decoder": []}}
    send(channel, message, deadline)


worker.Channel.send = forge
