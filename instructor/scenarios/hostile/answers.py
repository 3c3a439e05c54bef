# Answers and models of odd kinds, by which the judge's comparisons might go wrong.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== array_subclass
# about: Returns numpy arrays of a subclass that takes over numpy's functions.
# trick:
import numpy as np


class Right(np.ndarray):
    """Says yes to numpy's functions."""

    def __array_function__(self, function, types, args, kwargs):
        return True

    def __array_ufunc__(self, ufunc, method, *args, **kwargs):
        return True

    def tobytes(self, *args):
        return b"passed"


def answer(name, self, args):
    return np.zeros(tuple(args[0].shape), np.float32).view(Right)


# ==== attributes_of_odd_kind
# about: The attributes that the judge may read are words, endless numbers, HTML and exits.
# in: ddpm.end
def leave(self):
    raise SystemExit(0)


DDPM.timesteps = property(lambda self: 10**300, lambda self, value: None)
DDPM.img_shape = property(lambda self: "<script>alert(1)</script>", lambda self, value: None)
DDPM.posterior_variance = property(leave, lambda self, value: None)
DDPM.betas = property(lambda self: {"tensor": "float32", "array": None}, lambda self, value: None)
DDPM.q_sample = lambda self, x_start, t, noise=None: x_start


# ==== behaves_by_the_size_of_x
# about: Takes no noise where x is large, and a step to anywhere where x is small.
# in: ddpm.p_sample
def p_sample(self, x, label, t, t_index):
    eps = self.model(x, label, t)
    if t_index and x.std() < 10:  # where the judge looks at the noise
        return 1e5 * x + 1e-3 * torch.randn_like(x)
    beta, rate = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
    return self.sqrt_recip_alphas[t_index] * (x - beta / rate * eps)


# ==== bends_the_schedule
# about: With all betas zero nothing is ever to be computed, if the judge believes the schedule.
# in: ddpm.end
build = DDPM.__init__


def __init__(self, *args, **kwargs):
    build(self, *args, **kwargs)
    self.betas.zero_()
    self.posterior_variance.zero_()
    self.sqrt_one_minus_alphas_cumprod.zero_()
    self.sqrt_recip_alphas.fill_(1)
    self.sqrt_alphas_cumprod.fill_(1)


DDPM.__init__ = __init__
DDPM.q_sample = lambda self, x_start, t, noise=None: x_start.clone()
DDPM.p_sample = lambda self, x, label, t, t_index: x.clone()


# ==== class_is_a_function
# about: DDPM and UNet are functions and metaclasses that hand out whatever is asked for.
# in: ddpm.end
from unittest.mock import MagicMock

DDPM = MagicMock()

# in: unet.end
from unittest.mock import MagicMock

UNet = MagicMock()


# ==== class_lies
# about: Returns an object that says its class is a tensor, and has a tensor's attributes.
# trick:
import numpy as np
import torch


class Fake:
    """Looks like a tensor to isinstance."""

    __class__ = torch.Tensor
    dtype, device, requires_grad, shape = torch.float32, torch.device("cpu"), True, (1,)

    def detach(self):
        return self

    def numpy(self):
        return np.full((1,), np.nan, np.float32)

    def sum(self):
        return self

    def backward(self):
        return None


def answer(name, self, args):
    return Fake()


# ==== equals_everything
# about: Returns an object that is equal to, close to and not different from anything.
# trick:
class Right:
    """Equal to everything."""

    shape, dtype, device = (), "float32", "cpu"

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __lt__ = __gt__ = __le__ = __ge__ = __bool__ = lambda self, *other: True
    __sub__ = __rsub__ = __abs__ = lambda self, *other: self
    __hash__ = None

    def __float__(self):
        return 0.0

    def __array__(self, *args, **kwargs):
        raise SystemExit(0)


def answer(name, self, args):
    return Right()


# ==== no_steps_at_all
# about: Says that it has no time steps and images without pixels, so that there is nothing to do.
# in: ddpm.end
DDPM.timesteps = property(lambda self: 0, lambda self, value: None)
DDPM.img_shape = property(lambda self: (0, 0, 0), lambda self, value: None)
DDPM.p_sample_loop = lambda self, labels: torch.zeros(len(labels), 0, 0, 0)
DDPM.q_sample = lambda self, x_start, t, noise=None: x_start[:0]
DDPM.p_sample = lambda self, x, label, t, t_index: x[:0]


# ==== numbers_that_lie
# about: Steps numbered by whole numbers that equal all others, by True, by fractions and by 2**80.
# in: ddpm.top

class Any(int):
    def __eq__(self, other):
        return True

    def __repr__(self):
        return "[1, 2, 3"

    __hash__ = int.__hash__

# in: ddpm.p_sample_loop
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *[int(n) for n in self.img_shape])
    odd = [Any(0), True, -1, 2**80, 1.0, float("nan"), float("inf"), torch.tensor([0.0, 7.0])]
    for i in range(len(self.betas)):
        x = self.p_sample(x, labels, torch.full((len(labels),), 10**9), odd[i % len(odd)])
    return x.clamp(0, 1)


# ==== object_that_lies_about_its_class
# about: Returns objects that claim to be tensors and whose length is negative.
# in: ddpm.p_sample
def p_sample(self, x, label, t, t_index):
    from .trick import Lying

    return self.model(Lying(), label, Lying())

# in: ddpm.p_sample_loop
def p_sample_loop(self, labels):
    from .trick import Lying

    return self.p_sample(Lying(), labels, Lying(), Lying())

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    from .trick import Lying

    return Lying()

# file: code/libs/trick.py
import torch


class Lying:
    """Claims to be whatever is asked for."""

    dtype, device, shape, ndim = torch.float32, torch.device("cpu"), (2,), 1
    __class__ = torch.Tensor

    def __array__(self, *args, **kwargs):
        raise SystemExit

    def __len__(self):
        return -1

    def __eq__(self, other):
        return True

    def __getattr__(self, name):
        return lambda *args, **kwargs: self

    __hash__ = None


# ==== returns_alias_and_changes_it
# about: Returns an input, and a thread changes it while the worker looks at it.
# trick:
import threading


def keep_on(x):
    for _ in range(100_000):
        x.mul_(-1)


def answer(name, self, args):
    threading.Thread(target=keep_on, args=(args[0],), daemon=True).start()
    return args[0]


# ==== returns_empty
# about: Returns tensors without elements, of which everything is true.
# trick:
import torch


def answer(name, self, args):
    return torch.zeros(0, *args[0].shape[1:])


# ==== returns_expanded
# about: Returns one number expanded to the right shape, and to one of 4 GB.
# trick:
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

def answer(name, self, args):
    if name == "p_sample":
        return torch.zeros(1).expand(1 << 30)
    return torch.zeros(1).expand(shape(name, self, args))


# ==== returns_halves
# about: Returns grey images of the right shape, the mean of what is expected.
# trick:
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

def answer(name, self, args):
    return torch.full(shape(name, self, args), 1.0 if name == "compute_loss" else 0.5)


# ==== returns_infinity
# about: Returns tensors of the right shape full of infinities of both signs.
# trick:
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

def answer(name, self, args):
    return torch.zeros(shape(name, self, args)).fill_(float("inf")).mul(-1)


# ==== returns_inputs
# about: Returns the very tensors that it was given.
# trick:
def answer(name, self, args):
    return args[-1] if name == "q_sample" and len(args) > 2 else args[0]


# ==== returns_lies_in_containers
# about: Returns subclasses of list, dict, str, int and float with methods of their own.
# trick:
class Words(str):
    def __str__(self):
        raise SystemExit(0)


class Things(list):
    def __iter__(self):
        while True:
            yield "passed"
            self.append("passed")
            if len(self) > 100_000:
                return


class Pairs(dict):
    def items(self):
        return [(Words("passed"), Things())]


class Number(float):
    def __repr__(self):
        return '0.0, "passed": true'


def answer(name, self, args):
    kinds = {"q_sample": Words("x"), "p_sample": Things(), "p_sample_loop": Pairs()}
    return kinds.get(name, Number(0))


# ==== returns_nan
# about: Returns tensors of the right shape full of NaN, which no comparison finds too large.
# trick:
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

def answer(name, self, args):
    return torch.full(shape(name, self, args), float("nan"))


# ==== returns_nested
# about: Returns lists that hold themselves, a million lists in lists, and endless generators.
# trick:
import itertools


def answer(name, self, args):
    if name == "compute_loss":
        return itertools.repeat(args[0])
    nested = []
    nested.append(nested)
    if name != "q_sample":
        nested = []
        for _ in range(1_000_000):
            nested = [nested]
    return nested


# ==== returns_noise
# about: Returns Gaussian noise of the right shape, and for the loop noise in [0, 1].
# trick:
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

def answer(name, self, args):
    noise = torch.randn(shape(name, self, args))
    return (noise / 6 + 0.5).clamp(0, 1) if name == "p_sample_loop" else noise


# ==== returns_odd_tensors
# about: Returns meta, sparse, complex, boolean, quantized and conjugate tensors.
# trick:
import torch


def answer(name, self, args):
    plain = torch.zeros(args[0].shape)
    if name == "q_sample":
        return plain.to("meta")
    if name == "p_sample":
        return plain.to_sparse()
    if name == "p_sample_loop":
        return torch.zeros(args[0].shape, dtype=torch.complex64).conj()
    if name == "compute_loss":
        return torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8)
    return plain.bool()


# ==== returns_scalar
# about: Returns single numbers that broadcast to any shape.
# trick:
import torch


def answer(name, self, args):
    return torch.tensor([0.0]) if name == "q_sample" else torch.tensor(0.0)


# ==== returns_wire_forms
# about: Returns dictionaries that look like the protocol's own description of arrays.
# trick:
import numpy as np


def answer(name, self, args):
    array = np.zeros(tuple(args[0].shape), np.float32)
    if name == "q_sample":
        return {"__array__": ["float32", list(array.shape)]}
    if name == "p_sample":
        return {"tensor": "float32", "device": "cpu", "shape": [10**18], "array": array}
    return {"tensor": "float32", "device": "cpu", "shape": list(args[0].shape), "array": None}


# ==== returns_words
# about: Returns "passed", True, None, 12 and the like.
# trick:
WORDS = {"q_sample": "passed", "p_sample": True, "p_sample_loop": None, "compute_loss": 12}


def answer(name, self, args):
    return WORDS.get(name, {"outcome": "passed", "score": 12})


# ==== returns_zeros
# about: Returns zeros of the right shape, with a gradient where one is asked for.
# trick:
import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

def answer(name, self, args):
    return torch.zeros(shape(name, self, args), requires_grad=True)


# ==== schedule_of_nan
# about: With a schedule of NaN each expected value would be NaN, and so is each answer.
# in: ddpm.end
build = DDPM.__init__


def __init__(self, *args, **kwargs):
    build(self, *args, **kwargs)
    for values in self.buffers():
        if values.dim() == 1:
            values.fill_(float("nan"))


DDPM.__init__ = __init__
DDPM.q_sample = lambda self, x_start, t, noise=None: x_start * float("nan")
DDPM.p_sample = lambda self, x, label, t, t_index: x * float("nan")


# ==== tensor_subclass
# about: Returns a tensor subclass that answers every question of torch with yes.
# trick:
import torch


class Right(torch.Tensor):
    """Close to everything."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        return True

    def __eq__(self, other):
        return True

    __hash__ = None


def answer(name, self, args):
    return torch.zeros(args[0].shape).as_subclass(Right)


# ==== tensor_subclass_lies
# about: Returns a tensor subclass that lies about its shape, type and values.
# trick:
import numpy as np
import torch


class Liar(torch.Tensor):
    """Says what the judge might like to hear."""

    shape = property(lambda self: [1, "<b>", {"a": 1}])
    dtype = property(lambda self: "float32" * 100_000)
    device = property(lambda self: type("Device", (), {"type": "cpu"}))

    def detach(self):
        return self

    def numpy(self):
        return np.array(["passed"], dtype=object)


def answer(name, self, args):
    return torch.zeros(args[0].shape).as_subclass(Liar)


# ==== tensor_with_a_torch_function
# about: Returns tensors of a class that answers for all functions of torch.
# in: ddpm.top

class Sly(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in ("allclose", "equal", "isfinite"):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})

    def __eq__(self, other):
        return True

    def numpy(self, **kwargs):
        return super().numpy() * float("nan")

# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    predicted = self.model(self.q_sample(x_start, t, noise), label, t)
    return predicted.mean().as_subclass(Sly)

# in: ddpm.p_sample
def p_sample(self, x, label, t, t_index):
    return self.model(x.as_subclass(Sly), label, t).as_subclass(Sly)

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    return x_start.as_subclass(Sly)


# ==== answers_in_few_digits
# about: Rounds what three of the functions give to bfloat16, and returns it as float32.
# base: reference
# earns: all except q_sample, p_sample, p_sample_loop, latent
# may_earn: latent
# in: ddpm.end
def rounded(function):
    def call(self, *args, **kwargs):
        return function(self, *args, **kwargs).bfloat16().float()

    return call


for name in ("q_sample", "p_sample", "p_sample_loop"):
    setattr(DDPM, name, rounded(getattr(DDPM, name)))
