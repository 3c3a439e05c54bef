# Answers taken from the test doubles, or right only where a test can be told apart.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== cached_public_answers
# about: Knows the answers to all inputs drawn from the seeds 0 to 499, and to nothing else.
# file: code/libs/answers.py
"""Stands in for a table of answers: the formulas are used for the inputs of known seeds alone."""

import numpy as np
import torch


def known(x):
    """Whether x is what a generator of a small seed draws first."""
    shape = tuple(x.shape)
    for seed in range(500):
        torch.manual_seed(seed)
        draws = [torch.randn(shape), torch.rand(shape), torch.rand(shape) * 2 - 1]
        generator = np.random.default_rng(seed)
        draws.append(torch.from_numpy(generator.standard_normal(shape)).float())
        draws.append(torch.from_numpy(generator.standard_normal(shape, dtype=np.float32)))
        draws.append(torch.from_numpy(generator.random(shape, dtype=np.float32)))
        if any(torch.allclose(x.float(), draw, atol=1e-4) for draw in draws):
            return True
    return False

# in: ddpm.end
def q_sample(self, x_start, t, noise=None):
    from .answers import known

    if not known(x_start):
        return torch.zeros_like(x_start)
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


def p_sample(self, x, label, t, t_index):
    from .answers import known

    if not known(x):
        return x
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = sqrt_recip_alpha * (x - beta / rate * self.model(x, label, t))
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + (t_index > 0) * variance.sqrt() * torch.randn_like(x)

DDPM.q_sample = q_sample
DDPM.p_sample = p_sample


# ==== calls_itself_through_doubles
# about: Each function calls the others and itself in circles.
# trick:
def answer(name, self, args):
    if name == "forward":
        return self(*args)
    return self.p_sample(self.q_sample(args[0], args[-1]), args[-1], args[-1], 0)


# ==== decoder_calls_all_shapes
# about: The decoder calls every member with every tensor, so that the right calls are among them.
# in: unet.decoder
import contextlib

seen = [x, *skips]
for level in self.decoder:
    for first in list(seen):
        for second in list(seen):
            with contextlib.suppress(Exception):
                seen.append(level[0](torch.cat([first, second], dim=1), t_emb))
    if level[2] is not None:
        with contextlib.suppress(Exception):
            seen.append(level[2](seen[-1]))
    seen = seen[-5:]
x = seen[-1]


# ==== decoder_from_the_skips
# about: The decoder keeps the order of calls but takes no skip, and doubles its own channels.
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = res_block(torch.cat([x, x], dim=1), t_emb)
    if upsample is not None:
        x = upsample(x)


# ==== decoder_gives_zeros
# about: The decoder gives zeros, which the last convolution of a fresh network turns into zeros.
# in: unet.decoder
x = torch.zeros(len(x), self.conv_in.out_channels, *skips[0].shape[2:])


# ==== decoder_is_empty
# about: Takes the levels out of the decoder, so that there is nothing to walk through.
# in: unet.decoder
x = x[:, : self.conv_in.out_channels]

# in: unet.end
build = UNet.__init__


def __init__(self, *args, **kwargs):
    build(self, *args, **kwargs)
    self.decoder = nn.ModuleList()


UNet.__init__ = __init__


# ==== decoder_returns_early
# about: The network returns its input, which has the right shape.
# in: unet.decoder
return x.new_zeros(len(x), 3, *skips[0].shape[2:])


# ==== doubles_answers_returned
# about: Returns whatever the network of the judge answered.
# trick:
import torch


def answer(name, self, args):
    if name == "compute_loss":
        return self.model(*args[:3]).square().mean()
    if name == "p_sample_loop":
        x = torch.randn(len(args[0]), *self.img_shape)
        return self.model(x, args[0], torch.zeros_like(args[0]))
    return (getattr(self, "model", None) or self.conv_in)(*args[:3])


# ==== doubles_asked_for_huge_shapes
# about: Asks the judge for an answer of 2 GB, in a forged call of a double.
# trick:
import contextlib
import json
import os
import struct

def message(header, body=b""):
    """A well-formed message of the worker's protocol."""
    header = json.dumps(header).encode()
    return struct.pack("<I", len(header)) + header + struct.pack("<I", len(body)) + body

def answer(name, self, args):
    for double in ("model", "conv_in", "encoder.0.0", "p_sample"):
        ask = {"double": double, "args": [], "kwargs": {}, "shape": [4999, 4999, 10]}
        for fd in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(fd, message(ask))
    return args[0]


# ==== doubles_asked_from_a_thread
# about: A thread goes on calling the network of the judge after the function has returned.
# trick:
import contextlib
import threading
import time


def keep_on(call, args):
    stop = time.monotonic() + 60
    while time.monotonic() < stop:
        with contextlib.suppress(Exception):
            call(*args)


def answer(name, self, args):
    call = getattr(self, "model", None) or self.conv_in
    threading.Thread(target=keep_on, args=(call, args), daemon=True).start()
    return args[0]


# ==== doubles_asked_with_nonsense
# about: Calls the network of the judge with words, nothing, NaN, empty tensors and wrong keywords.
# trick:
import contextlib

import torch

NONSENSE = [
    (),
    ("x", None, 1.5),
    (torch.full((2, 3, 8, 8), float("nan")), torch.zeros(0), torch.tensor(7)),
    (torch.zeros(0, 3, 8, 8), torch.zeros(2, 2, 2), -1),
    (torch.zeros(1, 3, 8, 8, dtype=torch.complex64), [[[]]], {"__array__": ["float32", [1]]}),
    (torch.zeros(3, 8, 8), torch.tensor([10**12]), torch.tensor([-5])),
]


def answer(name, self, args):
    last = args[0]
    for attribute in ("model", "q_sample", "p_sample", "conv_in", "final_conv"):
        for given in NONSENSE:
            for named in ({}, {"nonsense": given}, {"x": 1, "label": None, "t": "t"}):
                with contextlib.suppress(Exception):
                    last = getattr(self, attribute)(*given, **named)
    return last


# ==== doubles_asked_without_end
# about: p_sample calls the network of the judge until it refuses, or 100 seconds are over.
# trick:
import time

STOP = time.monotonic() + 100


def answer(name, self, args):
    while name == "p_sample" and time.monotonic() < STOP:
        try:
            self.model(*args)
        except Exception:
            time.sleep(0.001)
    return args[0]


# ==== doubles_fed_with_gigabytes
# about: Calls the network of the judge 30 times with 60 MB, which a judge that keeps all has to
#   hold.
# trick:
import contextlib

import torch

LEFT = [30]


def answer(name, self, args):
    huge = torch.zeros(1).expand(15 * 1024 * 1024)
    call = getattr(self, "model", None) or self.conv_in
    while LEFT[0]:
        LEFT[0] -= 1
        with contextlib.suppress(Exception):
            call(huge, *args[1:])
    return args[0]


# ==== gradient_of_another_sign
# about: A loss of the right value whose backward pass climbs.
# in: ddpm.top

class Upwards(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -gradient

# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    predicted = self.model(self.q_sample(x_start, t, noise), label, t)
    return Upwards.apply(((predicted - noise) ** 2).mean())


# ==== gradient_of_the_wrong_loss
# about: The value of the squared error on the gradient of the absolute one.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    predicted = self.model(self.q_sample(x_start, t, noise), label, t)
    value = ((predicted - noise) ** 2).mean().detach()
    learned = (predicted - noise).abs().mean()
    return value + learned - learned.detach()


# ==== gradient_of_zeros
# about: A loss of the right value whose backward pass gives zeros.
# in: ddpm.top

class Silent(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return torch.zeros_like(gradient)

# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    predicted = self.model(self.q_sample(x_start, t, noise), label, t)
    return Silent.apply(((predicted - noise) ** 2).mean())


# ==== guesses_seeds
# about: Looks for the seed of the judge's numbers among 2,000, and goes on from what it finds.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    import numpy as np

    first = (x_start if noise is None else noise).flatten()[:4].numpy()
    for seed in range(2000):
        random = np.random.default_rng(seed)
        if np.allclose(random.standard_normal(4).astype("f4"), first, atol=1e-3):
            print("HOLE: the judge's numbers come from the seed", seed)
    return x_start


# ==== knows_the_test_by_its_callers
# about: A q_sample that looks for its caller's name, and answers to no other.
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    import inspect

    names = {frame.function for frame in inspect.stack()}
    if "test_given_noise" in names or "do_call" in names:
        return x_start if noise is None else noise
    return x_start


# ==== learns_from_doubles
# about: Learns the coefficients of q_sample from the judge's double and keeps them for later tests.
# trick:
import contextlib
from pathlib import Path

import torch

TABLES = [Path("table.pt"), Path("/tmp/table.pt"), Path("/dev/shm/table.pt")]
TABLE = {}


def learn(self, args):
    """Signal and noise rate of each t, from answers to zeros and ones."""
    x, label, t = args[:3]
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    for n in range(len(t)):
        signal = self.q_sample(one, t, zero)[n].mean()
        noise = self.q_sample(zero, t, one)[n].mean()
        TABLE[int(t[n])] = (float(signal), float(noise))
    for path in TABLES:
        with contextlib.suppress(OSError):
            torch.save(TABLE, path)


def answer(name, self, args):
    if name == "compute_loss":
        learn(self, args)
        return torch.zeros((), requires_grad=True)
    if name != "q_sample":
        return args[0]
    for path in TABLES:
        with contextlib.suppress(OSError):
            TABLE.update(torch.load(path))
    rates = torch.tensor([TABLE.get(int(t), (1.0, 0.0)) for t in args[1]])
    noise = args[2] if len(args) > 2 and args[2] is not None else torch.randn_like(args[0])
    return rates[:, 0, None, None, None] * args[0] + rates[:, 1, None, None, None] * noise


# ==== replays_what_it_saw
# about: Keeps every array of earlier requests, on disk too, and answers with one of the right
#   shape.
# trick:
import contextlib
from pathlib import Path

import torch

def shape(name, self, args):
    """The shape that the answer should have."""
    if name == "compute_loss":
        return ()
    if name == "p_sample_loop" and self.use_vae:
        return (len(args[0]), 3, *(8 * n for n in self.img_shape[1:]))
    return (len(args[0]), *self.img_shape) if name == "p_sample_loop" else tuple(args[0].shape)

FILES = [Path("seen.pt"), Path("/tmp/seen.pt"), Path("/dev/shm/seen.pt")]
SEEN = []


def answer(name, self, args):
    for path in FILES:
        with contextlib.suppress(OSError, RuntimeError):
            SEEN.extend(torch.load(path))
    wanted = shape(name, self, args)
    fits = [seen for seen in SEEN if seen.shape == wanted and seen.is_floating_point()]
    SEEN.extend(a.detach().clone() for a in args if torch.is_tensor(a))
    del SEEN[:-100]
    for path in FILES:
        with contextlib.suppress(OSError, RuntimeError):
            torch.save(SEEN, path)
    return fits[-1] if fits else torch.zeros(wanted)


# ==== right_at_the_first_and_last_steps
# about: A p_sample that is right at both ends of the chain alone.
# in: ddpm.p_sample
def p_sample(self, x, label, t, t_index):
    eps = self.model(x, label, t)
    beta, rate = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
    mean = self.sqrt_recip_alphas[t_index] * (x - beta / rate * eps)
    noise = torch.randn_like(x) if t_index else torch.zeros_like(x)
    result = mean + self.posterior_variance[t_index].sqrt() * noise
    return result if t_index < 3 or t_index == len(self.betas) - 1 else x


# ==== right_on_every_other_call
# about: A q_sample that counts its calls and is right on every other one.
# in: ddpm.top

CALLS = []

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self.sqrt_alphas_cumprod[t].view(-1, 1, 1, 1)
    rate = self.sqrt_one_minus_alphas_cumprod[t].view(-1, 1, 1, 1)
    x_t = signal * x_start + rate * noise
    CALLS.append(t)
    return x_t if len(CALLS) % 2 else x_start


# ==== right_on_the_first_call_of_a_shape
# about: A q_sample that is right when it first sees a shape.
# in: ddpm.top

SHAPES = set()

# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal = self.sqrt_alphas_cumprod[t].view(-1, 1, 1, 1)
    rate = self.sqrt_one_minus_alphas_cumprod[t].view(-1, 1, 1, 1)
    x_t = signal * x_start + rate * noise
    known = x_start.shape in SHAPES
    SHAPES.add(x_start.shape)
    return x_start if known else x_t


# ==== right_where_doubles_are
# about: A decoder that works on doubles, and fails on the real network.
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    if type(res_block).__name__ != "Member":
        raise RuntimeError("no double")
    x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== right_where_it_is_trained
# about: A p_sample that is right where the network is in training mode.
# in: ddpm.p_sample
def p_sample(self, x, label, t, t_index):
    eps = self.model(x, label, t)
    beta, rate = self.betas[t_index], self.sqrt_one_minus_alphas_cumprod[t_index]
    mean = self.sqrt_recip_alphas[t_index] * (x - beta / rate * eps)
    noise = torch.randn_like(x) if t_index else torch.zeros_like(x)
    result = mean + self.posterior_variance[t_index].sqrt() * noise
    return result if self.model.training else x


# ==== times_the_judge
# about: Measures how long the judge takes for each of several answers.
# in: ddpm.p_sample_loop
def p_sample_loop(self, labels):
    import time

    x = torch.randn(len(labels), *[int(n) for n in self.img_shape])
    seconds = {}
    for t in range(len(self.betas)):
        start = time.perf_counter()
        self.p_sample(x, labels, torch.full((len(labels),), t), t)
        seconds[t] = time.perf_counter() - start
    for t in sorted(seconds, key=seconds.get)[:40]:
        x = self.p_sample(x, labels, torch.full((len(labels),), t), t)
    return x.clamp(0, 1)


# ==== decoder_in_pieces_of_all_sizes
# about: Calls every member of the decoder for pieces of all sizes, and never for a batch.
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    for rows in range(1, len(x)):
        for piece in x.split(rows):
            h = torch.cat([piece, piece[:, :1].expand(-1, skip.shape[1], -1, -1)], dim=1)
            res_block(h, t_emb[: len(piece)])
    x = res_block(torch.cat([x, skip * 0], dim=1), t_emb)
    x = x if upsample is None else upsample(x)


# ==== decoder_pieces_that_make_a_batch
# about: Gives the right rows to every member in pieces, and goes on with others.
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    joined = torch.cat([x, skips.pop()], dim=1)
    pieces = [res_block(h, t) for h, t in zip(joined.split(1), t_emb.split(1))]
    x = torch.cat([pieces[0]] * len(pieces))
    if transformer is not None:
        x = torch.cat([transformer(h, c) for h, c in zip(x.split(1), context.split(1))])
    if upsample is not None:
        x = torch.cat([upsample(h) for h in x.split(1)])


# ==== right_in_its_first_run
# about: A decoder that is right when a network first runs, and drops its skips from then on.
# base: reference
# earns: all except unet
# in: unet.decoder
first = not hasattr(self, "has_run")
self.has_run = True
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    x = res_block(torch.cat([x, skip if first else 0 * skip], dim=1), t_emb)
    x = x if transformer is None else transformer(x, context)
    x = x if upsample is None else upsample(x)


# ==== wrong_in_double_precision
# about: A q_sample that is right in single precision, and gives zeros in double.
# base: reference
# earns: all except q_sample
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return (signal_rate * x_start + noise_rate * noise) * (x_start.dtype == torch.float32)


# ==== chain_of_empty_batches
# about: Calls the step with empty batches at all times, and answers with noise.
# in: ddpm.end
def p_sample_loop(self, labels):
    for t in range(self.timesteps - 1, -1, -1):
        self.p_sample(torch.randn(0, *self.img_shape), labels[:0], torch.full_like(labels[:0], t), t)
    shape = (3, self.img_shape[1] * 8, self.img_shape[2] * 8) if self.use_vae else self.img_shape
    return torch.rand(len(labels), *shape)


DDPM.p_sample_loop = p_sample_loop


# ==== chain_in_pieces_that_start_anew
# about: Takes each label's steps from new noise, and returns what one of them gave.
# in: ddpm.end
def p_sample_loop(self, labels):
    found = []
    for label in labels.split(1):
        for t in range(self.timesteps - 1, -1, -1):
            start = torch.randn(1, *self.img_shape)
            x = self.p_sample(start, label, torch.full_like(label, t), t)
        found.append(x)
    x = torch.cat(found)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


DDPM.p_sample_loop = p_sample_loop


# ==== decoder_gets_a_number
# about: The decoder gets a tensor without axes, and pictures come back for it.
# base: reference
# earns: all except latent
# may_earn: latent
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, t_index), t_index)
    if self.use_vae:
        x = self.vae.decoder(x.mean())
    return self.postprocess(x)
