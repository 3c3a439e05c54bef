# The judge's time and memory, by the largest and oddest questions and answers.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== asks_and_leaves_the_answers
# about: Calls the step of a chain again and again without taking the next answers.
# file: code/libs/__init__.py
from . import trick  # noqa: F401

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]


def full(shape, value=0.5):
    """A tensor as the worker describes it."""
    array = worker.np.full(shape, value, "float32")
    return {"tensor": "float32", "device": "cpu", "shape": list(shape), "array": array}


def levels(key):
    """The structure that the judge asked for, as far as its key tells."""
    return {"encoder": [[True, True, True]] * 3, "decoder": [[True, True, True]] * 3}


def take(name):
    """Answer the judge's requests of this kind by `reply`."""

    def method(self, **request):
        given = reply(self, name, request)
        return {"changed": [], "mode_changed": [], "gradients": {}, "value": None} | given

    setattr(worker.Worker, f"do_{name}", method)


def ask(self, double, *args, **more):
    """Have the judge answer a call."""
    message = {"double": double, "args": list(args), "kwargs": {}, "shape": [1], "earlier": []}
    self.channel.send(message | more)
    return self.channel.receive()


def doubles(self, name, request):
    """The names of the doubles of a request; a network's are told first."""
    if name == "network":
        self.channel.send({"structure": levels(request["key"])})
        return ["conv_in", "decoder.0.0"]
    return [*request.get("doubles", []), *request.get("inside", [])]


def reply(self, name, request):

    for double in doubles(self, name, request)[:1]:
        shape = [len(request.get("args", [[0, 0]])[0]), 1, 28, 28]
        for _ in range(4000):
            ask(self, double, full(shape))
    return {}


for kind in ("call", "function", "network"):
    take(kind)


# ==== asks_for_a_gpu_and_a_second_try
# about: Fails as without a GPU, so that it is tested twice, and answers with what it is given the
#   second time.
# base: starter
# trick:
import torch


def answer(name, self, args):
    if not torch.cuda.is_available():
        raise RuntimeError("Found no NVIDIA driver on your system")
    if name == "compute_loss":
        return args[0].mean()
    return torch.rand(len(args[0]), *self.img_shape) if name == "p_sample_loop" else args[0]


# ==== asks_for_wide_outputs
# about: Members of a network whose outputs are as wide as may be, one channel each.
# file: code/libs/__init__.py
from . import trick  # noqa: F401

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]


def full(shape, value=0.5):
    """A tensor as the worker describes it."""
    array = worker.np.full(shape, value, "float32")
    return {"tensor": "float32", "device": "cpu", "shape": list(shape), "array": array}


def levels(key):
    """The structure that the judge asked for, as far as its key tells."""
    return {"encoder": [[True, True, True]] * 3, "decoder": [[True, True, True]] * 3}


def take(name):
    """Answer the judge's requests of this kind by `reply`."""

    def method(self, **request):
        given = reply(self, name, request)
        return {"changed": [], "mode_changed": [], "gradients": {}, "value": None} | given

    setattr(worker.Worker, f"do_{name}", method)


def ask(self, double, *args, **more):
    """Have the judge answer a call."""
    message = {"double": double, "args": list(args), "kwargs": {}, "shape": [1], "earlier": []}
    self.channel.send(message | more)
    return self.channel.receive()


def doubles(self, name, request):
    """The names of the doubles of a request; a network's are told first."""
    if name == "network":
        self.channel.send({"structure": levels(request["key"])})
        return ["conv_in", "decoder.0.0"]
    return [*request.get("doubles", []), *request.get("inside", [])]


def reply(self, name, request):

    for double in doubles(self, name, request)[:1]:
        for i in range(20):
            ask(self, f"encoder.{i % 3}.{i % 2}", full([1]), shape=[1, 1, 512, 1024])
    return {}


for kind in ("call", "function", "network"):
    take(kind)


# ==== asks_members_that_are_not
# about: Calls members that no level has, some of them twice and out of turn.
# file: code/libs/__init__.py
from . import trick  # noqa: F401

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]


def full(shape, value=0.5):
    """A tensor as the worker describes it."""
    array = worker.np.full(shape, value, "float32")
    return {"tensor": "float32", "device": "cpu", "shape": list(shape), "array": array}


def levels(key):
    """The structure that the judge asked for, as far as its key tells."""
    return {"encoder": [[True, True, True]] * 3, "decoder": [[True, True, True]] * 3}


def take(name):
    """Answer the judge's requests of this kind by `reply`."""

    def method(self, **request):
        given = reply(self, name, request)
        return {"changed": [], "mode_changed": [], "gradients": {}, "value": None} | given

    setattr(worker.Worker, f"do_{name}", method)


def ask(self, double, *args, **more):
    """Have the judge answer a call."""
    message = {"double": double, "args": list(args), "kwargs": {}, "shape": [1], "earlier": []}
    self.channel.send(message | more)
    return self.channel.receive()


def doubles(self, name, request):
    """The names of the doubles of a request; a network's are told first."""
    if name == "network":
        self.channel.send({"structure": levels(request["key"])})
        return ["conv_in", "decoder.0.0"]
    return [*request.get("doubles", []), *request.get("inside", [])]


def reply(self, name, request):

    if name == "network":
        doubles(self, name, request)
        for member in ("mid_res_block2", "decoder.0.0", "decoder.0.0", "final_conv", "decoder.77.0"):
            answer = ask(self, member, full([2, 8, 4, 4]), shape=[2, 8, 4, 4])
        return {"value": full([2, 8, 4, 4])}
    return {}


for kind in ("call", "function", "network"):
    take(kind)


# ==== asks_with_empty_tensors
# about: Calls doubles a thousand times with 60 tensors that hold nothing.
# file: code/libs/__init__.py
from . import trick  # noqa: F401

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]


def full(shape, value=0.5):
    """A tensor as the worker describes it."""
    array = worker.np.full(shape, value, "float32")
    return {"tensor": "float32", "device": "cpu", "shape": list(shape), "array": array}


def levels(key):
    """The structure that the judge asked for, as far as its key tells."""
    return {"encoder": [[True, True, True]] * 3, "decoder": [[True, True, True]] * 3}


def take(name):
    """Answer the judge's requests of this kind by `reply`."""

    def method(self, **request):
        given = reply(self, name, request)
        return {"changed": [], "mode_changed": [], "gradients": {}, "value": None} | given

    setattr(worker.Worker, f"do_{name}", method)


def ask(self, double, *args, **more):
    """Have the judge answer a call."""
    message = {"double": double, "args": list(args), "kwargs": {}, "shape": [1], "earlier": []}
    self.channel.send(message | more)
    return self.channel.receive()


def doubles(self, name, request):
    """The names of the doubles of a request; a network's are told first."""
    if name == "network":
        self.channel.send({"structure": levels(request["key"])})
        return ["conv_in", "decoder.0.0"]
    return [*request.get("doubles", []), *request.get("inside", [])]


def reply(self, name, request):

    for double in doubles(self, name, request)[:1]:
        for _ in range(1000):
            ask(self, double, [full([0]) for _ in range(60)])
    return {"value": [full([0])] * 1000}


for kind in ("call", "function", "network"):
    take(kind)


# ==== asks_with_half_letters
# about: Calls doubles and answers with texts of half letters, escapes and long names.
# file: code/libs/__init__.py
from . import trick  # noqa: F401

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]


def full(shape, value=0.5):
    """A tensor as the worker describes it."""
    array = worker.np.full(shape, value, "float32")
    return {"tensor": "float32", "device": "cpu", "shape": list(shape), "array": array}


def levels(key):
    """The structure that the judge asked for, as far as its key tells."""
    return {"encoder": [[True, True, True]] * 3, "decoder": [[True, True, True]] * 3}


def take(name):
    """Answer the judge's requests of this kind by `reply`."""

    def method(self, **request):
        given = reply(self, name, request)
        return {"changed": [], "mode_changed": [], "gradients": {}, "value": None} | given

    setattr(worker.Worker, f"do_{name}", method)


def ask(self, double, *args, **more):
    """Have the judge answer a call."""
    message = {"double": double, "args": list(args), "kwargs": {}, "shape": [1], "earlier": []}
    self.channel.send(message | more)
    return self.channel.receive()


def doubles(self, name, request):
    """The names of the doubles of a request; a network's are told first."""
    if name == "network":
        self.channel.send({"structure": levels(request["key"])})
        return ["conv_in", "decoder.0.0"]
    return [*request.get("doubles", []), *request.get("inside", [])]


def reply(self, name, request):

    for double in doubles(self, name, request)[:1]:
        for _ in range(1000):
            ask(self, double, ["\ud800\x1b[2J" * 40] * 60, kwargs={"\udfff<script>" * 99: "x"})
    return {"value": ["\ud800\x1b[2J" * 40] * 60}


for kind in ("call", "function", "network"):
    take(kind)


# ==== asks_with_nested_lists
# about: Calls doubles and answers with lists in lists, as many as a message may hold.
# file: code/libs/__init__.py
from . import trick  # noqa: F401

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]


def full(shape, value=0.5):
    """A tensor as the worker describes it."""
    array = worker.np.full(shape, value, "float32")
    return {"tensor": "float32", "device": "cpu", "shape": list(shape), "array": array}


def levels(key):
    """The structure that the judge asked for, as far as its key tells."""
    return {"encoder": [[True, True, True]] * 3, "decoder": [[True, True, True]] * 3}


def take(name):
    """Answer the judge's requests of this kind by `reply`."""

    def method(self, **request):
        given = reply(self, name, request)
        return {"changed": [], "mode_changed": [], "gradients": {}, "value": None} | given

    setattr(worker.Worker, f"do_{name}", method)


def ask(self, double, *args, **more):
    """Have the judge answer a call."""
    message = {"double": double, "args": list(args), "kwargs": {}, "shape": [1], "earlier": []}
    self.channel.send(message | more)
    return self.channel.receive()


def doubles(self, name, request):
    """The names of the doubles of a request; a network's are told first."""
    if name == "network":
        self.channel.send({"structure": levels(request["key"])})
        return ["conv_in", "decoder.0.0"]
    return [*request.get("doubles", []), *request.get("inside", [])]


def reply(self, name, request):

    for double in doubles(self, name, request)[:1]:
        for _ in range(1000):
            ask(self, double, [[[[[[]]]]] * 12])
    return {"value": [[[]] * 20_000]}


for kind in ("call", "function", "network"):
    take(kind)


# ==== says_odd_things_of_its_answers
# about: Answers whose indices, names and modes are negative, huge, nested or none.
# file: code/libs/__init__.py
from . import trick  # noqa: F401

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]


def full(shape, value=0.5):
    """A tensor as the worker describes it."""
    array = worker.np.full(shape, value, "float32")
    return {"tensor": "float32", "device": "cpu", "shape": list(shape), "array": array}


def levels(key):
    """The structure that the judge asked for, as far as its key tells."""
    return {"encoder": [[True, True, True]] * 3, "decoder": [[True, True, True]] * 3}


def take(name):
    """Answer the judge's requests of this kind by `reply`."""

    def method(self, **request):
        given = reply(self, name, request)
        return {"changed": [], "mode_changed": [], "gradients": {}, "value": None} | given

    setattr(worker.Worker, f"do_{name}", method)


def ask(self, double, *args, **more):
    """Have the judge answer a call."""
    message = {"double": double, "args": list(args), "kwargs": {}, "shape": [1], "earlier": []}
    self.channel.send(message | more)
    return self.channel.receive()


def doubles(self, name, request):
    """The names of the doubles of a request; a network's are told first."""
    if name == "network":
        self.channel.send({"structure": levels(request["key"])})
        return ["conv_in", "decoder.0.0"]
    return [*request.get("doubles", []), *request.get("inside", [])]


def reply(self, name, request):

    odd = [-1, 10**40, 1e308, True, None, {"a": [1]}, [[[[[0]]]]], "x" * 5000, "\ud800"]
    names = doubles(self, name, request)
    return {"changed": odd, "mode_changed": names * 900, "gradients": dict.fromkeys(names, True),
            "value": {"tensor": ["float32"], "array": {}, "shape": {"a": -1}}}


for kind in ("call", "function", "network"):
    take(kind)


# ==== says_that_members_are_nothing
# about: The decoder's transformers say that they return their input, so that nobody expects them to
#   run.
# base: reference
# earns: all except unet
# reason: unet: no transformer
# in: unet.decoder
for res_block, _, upsample in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if upsample is not None:
        x = upsample(x)

# in: unet.end
class Hidden(nn.Module):
    def __init__(self, real):
        super().__init__()
        self.real = [real]

    def forward(self, x, *condition):
        return x if x.shape == (1, 8, 4, 4) else self.real[0](x, *condition)


build = UNet.__init__


def hide(self, *args, **kwargs):
    build(self, *args, **kwargs)
    for level in self.decoder:
        if level[1] is not None:
            level[1] = Hidden(level[1])


UNet.__init__ = hide


# ==== sends_the_largest_answers
# about: Answers with as many numbers as a message may hold, after calls with as many.
# file: code/libs/__init__.py
from . import trick  # noqa: F401

# file: code/libs/trick.py
import sys

(worker,) = [m for m in list(sys.modules.values()) if isinstance(getattr(m, "Worker", None), type)]


def full(shape, value=0.5):
    """A tensor as the worker describes it."""
    array = worker.np.full(shape, value, "float32")
    return {"tensor": "float32", "device": "cpu", "shape": list(shape), "array": array}


def levels(key):
    """The structure that the judge asked for, as far as its key tells."""
    return {"encoder": [[True, True, True]] * 3, "decoder": [[True, True, True]] * 3}


def take(name):
    """Answer the judge's requests of this kind by `reply`."""

    def method(self, **request):
        given = reply(self, name, request)
        return {"changed": [], "mode_changed": [], "gradients": {}, "value": None} | given

    setattr(worker.Worker, f"do_{name}", method)


def ask(self, double, *args, **more):
    """Have the judge answer a call."""
    message = {"double": double, "args": list(args), "kwargs": {}, "shape": [1], "earlier": []}
    self.channel.send(message | more)
    return self.channel.receive()


def doubles(self, name, request):
    """The names of the doubles of a request; a network's are told first."""
    if name == "network":
        self.channel.send({"structure": levels(request["key"])})
        return ["conv_in", "decoder.0.0"]
    return [*request.get("doubles", []), *request.get("inside", [])]


def reply(self, name, request):

    for double in doubles(self, name, request)[:1]:
        for size in (4_000_000, 4_000_000, 3_000_000):
            ask(self, double, full([size]))
    return {"value": full([4_000_000])}


for kind in ("call", "function", "network"):
    take(kind)
