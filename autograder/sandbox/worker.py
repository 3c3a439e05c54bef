"""The worker: imports a submission and answers the judge's requests about it.

It runs in a confined process, holds no expected values and gives no verdicts. Student code may
patch everything here, but can only change the values that it sends, and the judge compares those.
"""

import contextlib
import functools
import importlib
import inspect
import os
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar
from unittest import mock

import numpy as np
import numpy.random  # NumPy imports it only on use, which would be in each worker
import torch
from torch import nn

from autograder.sandbox import machine
from autograder.sandbox.devices import Away, Devices, check
from autograder.sandbox.wire import CHAIN, DTYPES, NAMES, Channel

SHOWN = 2000  # characters of an error's text
KINDS, KIND = 20, 80  # classes of an error that are named, characters of each name
WEIGHT = 100.0  # value of a network double's weights, so that a penalty on them shows
MOVED = 0.5  # added to the parameters that the judge gives no values for
MAX_LATER, MOST_LATER = 1 << 23, 300  # bytes and number of calls reported with the next message
LABELS = {"label", "labels", "y", "c", "class_label", "class_labels", "classes"}
TIMES = {"time", "times", "t", "timestep", "timesteps", "step"}
SHORT = (type(None), bool, int, float)
PLAIN = (*SHORT, str)
NOISES = {"noise", "eps", "epsilon"}
WEIGHTS = ["vae_encoder_weights", "vae_decoder_weights"]
HALVES = {  # names of an autoencoder's halves, as modules or methods, in the order of the search
    "vae.encoder": ("encoder", "encode", "vae_encoder"),
    "vae.decoder": ("decoder", "decode", "vae_decoder"),
}
Module = TypeVar("Module", bound=nn.Module)
# For each member of a network, the shape of its output by the shapes of its inputs.
Shapes: TypeAlias = dict[str, dict[tuple, list[int]]]
BUFFERS = (
    "betas sqrt_recip_alphas sqrt_alphas_cumprod sqrt_one_minus_alphas_cumprod posterior_variance "
    "sigma_data"
).split()


def serve(channel: Channel, code_folder: str, shared: bool = False) -> None:
    """Answer requests, {"op": name of a method, ...}, until the judge closes the channel.

    Args:
        shared: this process is the judge's own, and is not modified.
    """
    if shared:
        sys.path.insert(0, code_folder)
        sys.dont_write_bytecode = True
    else:
        machine.furnish(code_folder)
        machine.spare()
    worker = Worker(channel, code_folder)
    while True:
        request = channel.receive()
        try:
            answer = getattr(worker, "do_" + request.pop("op"))(**request)
        except BaseException as error:
            answer = {"error": describe(error, code_folder)}
        channel.send({"answer": answer, "earlier": worker.calls.take()})


class Worker:
    """The objects built so far, and the operations (do_...) that a request may name."""

    def __init__(self, channel: Channel, code_folder: str) -> None:
        self.channel = channel
        self.calls = Calls(channel)
        self.code_folder = code_folder
        self.objects: dict[str, Any] = {}
        self.doubles: dict[str, nn.Module] = {}
        self.shapes: dict[str, Shapes] = {}  # of each object's members, from a run of it
        self.members = Members(0, 0, {})

    def do_gpu(self) -> dict[str, Any]:
        """Pretend that there is a GPU."""
        machine.pretend_gpu()
        return {}

    def do_build(
        self,
        key: str,
        module: str,
        name: str,
        kwargs: dict[str, Any],
        optional: list[tuple[dict[str, Any], list[str]]],
        stand_in: bool,
    ) -> dict[str, Any]:
        """Import libs.MODULE and construct its class NAME.

        Args:
            kwargs: arguments of the class.
            optional: sets of more arguments, each with further names. The first set is given for
                which the class knows all arguments and names.
            stand_in: replace libs/unet.py, and a former kit's variants of it, by empty networks.
        """
        if stand_in:
            for network in ("unet", "variants"):
                sys.modules[f"libs.{network}"] = stand_in_module(f"libs.{network}")
        try:
            home = submitted(module)
        except BaseException as error:
            return {"error": {**describe(error, self.code_folder), "importing": True}}
        made = getattr(home, name)
        known = inspect.signature(made).parameters
        more = next((g for g, beside in optional if known.keys() >= {*g, *beside}), {})
        names = sorted(more)
        given = {**as_tensors(more, away=False), **kwargs}
        try:
            built = construct(module, made, given)
        except Exception:
            weights = [name for name in known if "weights" in name and name not in given]
            if any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
                weights = weights or WEIGHTS
            if not (kwargs.get("use_vae") and weights):
                raise
            with files_without_weights() as path:  # the class requires files with weights
                built = construct(module, made, {**given, **dict.fromkeys(weights, path)})
        self.objects[key] = built
        return {"optional": names}

    def do_call(
        self, key: str, weights: dict[str, np.ndarray], gradients: bool, **request: Any
    ) -> dict[str, Any]:
        """Like `call`, with the given weights in the object's parameters, see `Weights`."""
        with Weights(self.objects[key], weights) as held:
            answer = self.call(key=key, gradients=gradients, **request)
            answer["changed"] += held.lost()
            if gradients and isinstance(answer["gradients"], dict):
                answer["gradients"] |= held.gradients()
        return answer

    def call(
        self,
        key: str,
        method: str,
        args: list[Any],
        doubles: list[str],
        gradients: bool,
        training: bool,
        time: int | None,
        away: bool,
        inside: list[str],
        ahead: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """Call a method with test doubles in place; arrays among the arguments become tensors.

        Args:
            doubles: attributes of the object such as "model", "p_sample", "vae.encoder".
            training: the mode of the object and of the doubles, training or evaluation.
            time: position of the time steps, which are left out if the method draws them itself.
            away: put all arguments on a second device.
            inside: doubles that take the place of functions that it calls.
            ahead: answers of doubles, see Double.
        """
        built = in_mode(self.objects[key], training)
        bound = method_of(built, method)
        self.doubles = self.doubles_of([*doubles, *inside], ahead, training)
        if "model" in self.doubles:
            pose_as_network(self.doubles["model"], built)
        given = dict(enumerate(args))
        tensors = as_tensors(given, away)
        draws = time is not None and lacks_time(bound, time)
        arguments = [value for place, value in tensors.items() if not draws or place != time]
        if method == "forward":
            arguments = in_own_order(built, arguments)
        copies = buffer_copies(built)
        with contextlib.ExitStack() as stack:
            for name in doubles:
                stack.enter_context(replaced(built, own_path(built, name), self.doubles[name]))
            self.replace_functions(inside, stack)
            if away:
                stack.enter_context(moved_away(built))
            elif method == "forward":
                self.shapes[key] = stack.enter_context(shapes_noted(built))
            before = switches(self.doubles)
            try:
                result = bound(*arguments)
            finally:
                after = switches(self.doubles)
                torch.set_grad_enabled(before["grad_mode"])
                torch.set_default_dtype(before["default_dtype"])
        answer: dict[str, Any] = {"value": pack(result), "draws": draws}
        held = [name for name, copy in copies.items() if not same(copy, getattr(built, name))]
        switched = [name for name in after if after[name] != before[name]]
        answer["changed"] = changed(given, tensors) + held + switched
        models = {"self": built, **self.doubles}
        answer["mode_changed"] = [n for n, m in models.items() if m.training != training]
        if gradients:
            answer["gradients"] = self.gradients(result)
        return answer

    def do_function(
        self,
        module: str,
        name: str,
        args: list[Any],
        kwargs: dict[str, Any],
        doubles: list[str],
        inside: list[str],
        keeps: list[str],
        away: bool,
        ahead: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> dict[str, Any]:
        """Call libs.MODULE.NAME; doubles that are not `inside` become keyword arguments.

        Args:
            inside: doubles that take the place of functions that it calls.
            keeps: doubles whose arguments must stay as they are after the call.
            away: put all tensors on a second device.
            ahead: answers of doubles, see Double.
        """
        function = getattr(submitted(module), name)
        self.doubles = self.doubles_of([*doubles, *inside], ahead)
        for double in keeps:
            self.doubles[double].kept = []
        given: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        tensors = as_tensors(given, away)
        named: dict[str, Any] = {name: tensors[name] for name in kwargs}
        named |= {d: self.doubles[d] for d in doubles}
        # If the contract asks for a function, it gets a plain one, not a module.
        named |= {d: plain(self.doubles[d]) for d in doubles if d != "network"}
        with contextlib.ExitStack() as stack:
            if away:
                stack.enter_context(Devices())
            self.replace_functions(inside, stack)
            result = function(*[tensors[i] for i in range(len(args))], **named)
        lost = [f"what {double} got" for double in keeps if self.doubles[double].lost()]
        return {"value": pack(result), "changed": changed(given, tensors) + lost}

    def do_each(
        self, module: str, name: str, items: list[Any], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        """Call libs.MODULE.NAME once for each item; an error replaces that item's value."""
        function = getattr(submitted(module), name)
        values: list[Any] = []
        errors: list[dict[str, Any] | None] = []
        for item in items:
            try:
                values.append(pack(function(item, **kwargs)))
                errors.append(None)
            except Exception as error:
                values.append(None)
                found = describe(error, self.code_folder)
                errors.append({**found, "text": found["text"][:100]})  # there may be many
        return {"values": values, "errors": errors}

    def do_network(
        self, key: str, args: list[Any], training: bool, seed: int, most: int
    ) -> dict[str, Any]:
        """Run the UNet with every member replaced by a double; real members only determine shapes.

        Args:
            seed: seed of the doubles' answers.
            most: calls that doubles may answer without asking the judge.
        """
        unet = in_mode(self.objects[key], training)
        self.doubles = {}
        self.members = Members(seed, most, self.shapes.get(key, {}))
        structure: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            for name, child in list(unet.named_children()):
                if name in ("encoder", "decoder"):
                    levels = enumerate(child)
                    structure[name] = [self.double_level(name, i, c, stack) for i, c in levels]
                else:
                    stack.enter_context(replaced(unet, name, self.double(name, child)))
            self.channel.send({"structure": structure})
            result = unet(*in_own_order(unet, [tensor(arg) for arg in args]))
            return {"value": pack(result), "gradients": self.gradients(result)}

    def double_level(
        self, name: str, i: int, level: nn.Module, stack: contextlib.ExitStack
    ) -> list[bool]:
        """Replace the members of one level; returns which members exist."""
        if not isinstance(level, nn.ModuleList):
            raise TypeError(f"self.{name}[{i}] is a {type(level).__name__}, not an nn.ModuleList")
        there = [part is not None and not passes_on(part) for part in level]
        for j, part in enumerate(level):
            if there[j]:
                double = self.double(f"{name}.{i}.{j}", part)
                stack.enter_context(replaced(level, str(j), double))
        return there

    def doubles_of(
        self, names: list[str], ahead: Mapping[str, np.ndarray], training: bool = True
    ) -> dict[str, "Double"]:
        """Doubles by name, with the answers they got ahead, in training or evaluation mode."""
        return {n: in_mode(Double(n, self.calls, ahead.get(n)), training) for n in names}

    def replace_functions(self, names: list[str], stack: contextlib.ExitStack) -> None:
        """Replace functions by doubles, in each module of the submission that has them."""
        for name in names:
            for owner in modules_with(name):
                stack.enter_context(mock.patch.object(owner, name, self.doubles[name].__call__))

    def double(self, name: str, real: nn.Module) -> "Double":
        double = Member(name, self.calls, real, self.members)
        self.doubles[name] = double
        return double

    def gradients(self, result: Any) -> dict[str, float] | str:
        """d(sum of the result) / d(factor of each double's output), or why there is none."""
        if not torch.is_tensor(result) or not result.requires_grad:
            return "no gradient"
        result.sum().backward()
        return {
            name: float(double.factor.grad)
            for name, double in self.doubles.items()
            if double.factor.grad is not None
        }


class Weights:
    """Within this context a module's parameters hold the values that the judge gave.

    Parameters without given values are moved by MOVED, so that it shows if they matter.

    Raises:
        AttributeError: the module has no parameter with this name and shape.
    """

    def __init__(self, module: nn.Module, given: dict[str, np.ndarray]) -> None:
        self.own = dict(module.named_parameters()) if given else {}
        self.given = {name: tensor(array) for name, array in given.items()}
        for name, value in self.given.items():
            if name not in self.own or self.own[name].shape != value.shape:
                kind, shape = type(module).__name__, list(value.shape)
                raise AttributeError(f"{kind} has no attribute {name} of the shape {shape}")

    def __enter__(self) -> "Weights":
        self.before = {name: own.detach().clone() for name, own in self.own.items()}
        with torch.no_grad():
            for name, own in self.own.items():
                own.copy_(self.given[name] if name in self.given else own + MOVED)
                own.grad = None
        return self

    def __exit__(self, *error: object) -> None:
        with torch.no_grad():
            for name, own in self.own.items():
                own.copy_(self.before[name])
                own.grad = None

    def lost(self) -> list[str]:
        """The names of given parameters whose values have changed."""
        return [name for name, value in self.given.items() if not same(self.own[name], value)]

    def gradients(self) -> dict[str, float]:
        """The norm of the gradient that reached each given parameter."""
        grads = {name: self.own[name].grad for name in self.given}
        return {name: float(g.norm()) for name, g in grads.items() if g is not None}


class Calls:
    """Passes the doubles' calls to the judge, which may have answered some ahead."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.earlier: list[dict[str, Any]] = []  # calls not yet reported to the judge
        self.size = 0  # bytes of their tensors

    def take(self) -> list[dict[str, Any]]:
        """The calls to report to the judge with the next message."""
        earlier, self.earlier, self.size = self.earlier, [], 0
        return earlier

    def keep(self, asked: dict[str, Any]) -> bool:
        """Store a call to report it later; False if there is no room, or its size is unknown."""
        size = self.size
        for value in (*asked["args"], *asked["kwargs"].values()):
            if isinstance(value, dict) and "tensor" in value:
                size += getattr(value.get("array"), "nbytes", 0)
            elif type(value) not in SHORT:
                return False  # its size is unknown
        if size > MAX_LATER or len(self.earlier) >= MOST_LATER:
            return False
        self.earlier.append(asked)
        self.size = size
        return True

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Send a call to the judge, and return its answer."""
        self.channel.send({**asked, "earlier": self.take()})
        return self.channel.receive()


@dataclass
class Members:
    """State that the doubles of a network's members share.

    Args:
        seed: seed of their answers.
        left: calls that they may still answer without asking the judge.
        shapes: known shapes of outputs.
    """

    seed: int
    left: int
    shapes: Shapes

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)


def shapes_of(inputs: list[torch.Tensor]) -> tuple:
    """The tensors' shapes, as a key."""
    return tuple(tuple(a.shape) for a in inputs)


@contextlib.contextmanager
def shapes_noted(network: nn.Module) -> Iterator[Shapes]:
    """Within this context, record the shapes of each member's inputs and output."""
    found: Shapes = {}
    with contextlib.ExitStack() as stack:
        for name, member in members_of(network):

            def note(_: Any, args: Any, kwargs: Any, output: Any, name: str = name) -> None:
                if torch.is_tensor(output):
                    inputs = [a for a in (*args, *kwargs.values()) if torch.is_tensor(a)]
                    found.setdefault(name, {})[shapes_of(inputs)] = list(output.shape)

            stack.callback(member.register_forward_hook(note, with_kwargs=True).remove)
        yield found


def members_of(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The members of a UNet, with the names of their doubles."""
    for name, child in network.named_children():
        if name not in ("encoder", "decoder"):
            yield name, child
        elif isinstance(child, nn.ModuleList):
            for i, level in enumerate(child):
                for j, part in enumerate(level if isinstance(level, nn.ModuleList) else ()):
                    if part is not None:
                        yield f"{name}.{i}.{j}", part


class Double(nn.Module):
    """Replaces a network or a function, and passes each call to the judge, which answers it.

    Args:
        name: identifies it to the judge.
        calls: the way to the judge.
        ahead: answers to the first calls: [n, B, ...] if their first tensor has B rows, or [n].
    """

    name: str
    calls: Calls
    names: dict[str, str]  # of the arguments, see `own_names`
    ahead: list[np.ndarray]  # last one first
    following: list[np.ndarray]  # answers that came with another answer
    kept: list[tuple[torch.Tensor, torch.Tensor]] | None  # arguments, copies
    factor: nn.Parameter

    def __init__(self, name: str, calls: Calls, ahead: np.ndarray | None = None) -> None:
        super().__init__()
        factor = nn.Parameter(torch.ones((), dtype=torch.float32, device="cpu"))
        self.register_parameter("factor", factor)
        # written to the dictionary directly, since nn.Module.__setattr__ is slow
        answers = [] if ahead is None else list(ahead)[::-1]
        self.__dict__.update(
            name=name, calls=calls, names={}, ahead=answers, following=[], kept=None
        )

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        inputs = [a for a in (*args, *kwargs.values()) if isinstance(a, torch.Tensor)]
        check(inputs)
        is_away = any(isinstance(a, Away) for a in inputs)
        with torch._C.DisableTorchFunction() if is_away else contextlib.nullcontext():
            if self.kept is not None:
                self.kept += [(a, a.detach().clone()) for a in inputs]
            answer = self.answer(args, kwargs, inputs)
            return answer.as_subclass(Away) if is_away else answer

    def lost(self) -> bool:
        """Whether an argument has changed since the call."""
        return not all(same(a, copy) for a, copy in self.kept or [])

    def answer(
        self, args: tuple, kwargs: dict[str, Any], inputs: list[torch.Tensor]
    ) -> torch.Tensor:
        """The judge's answer to a call, connected to the inputs for gradients."""
        if self.names:
            kwargs = {**dict(zip(self.names, args, strict=False)), **kwargs}
            args, kwargs = (), {self.names.get(name, name): v for name, v in kwargs.items()}
        asked = {"double": self.name, "args": pack(list(args)), "kwargs": pack(kwargs)}
        value = tensor(self.value(asked, args, kwargs, inputs))
        if not torch.is_grad_enabled():
            return value
        return PassOn.apply(value * self.factor, *inputs)

    def value(
        self,
        asked: dict[str, Any],
        args: tuple,
        kwargs: dict[str, Any],
        inputs: list[torch.Tensor],
    ) -> np.ndarray:
        """The numbers of the answer."""
        rows = next((len(a) for a in inputs if a.ndim), -1)
        if self.ahead and self.ahead[-1].ndim and len(self.ahead[-1]) != rows:
            self.ahead = []
        same = self.following and any(i.shape == self.following[-1].shape for i in inputs)
        answers = self.ahead or (self.following if same else [])
        if answers and self.calls.keep(asked):
            return answers.pop()
        answer = self.ask(asked)
        self.ahead, self.following = [], list(answer["following"])[::-1]
        return answer["value"]

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The judge's answer; raises RuntimeError if it refuses."""
        answer = self.calls.ask(asked)
        if "refused" in answer:
            raise RuntimeError(answer["refused"])
        return answer


class Member(Double):
    """Replaces a member of a network; answers random numbers in the shape of its output.

    Args:
        real: the member it replaces; it runs on the real input if its output's shape is unknown.
    """

    real: nn.Module
    members: Members

    def __init__(self, name: str, calls: Calls, real: nn.Module, members: Members) -> None:
        super().__init__(name, calls)
        self.__dict__.update(real=real, members=members)  # not as a sub-module

    def value(
        self,
        asked: dict[str, Any],
        args: tuple,
        kwargs: dict[str, Any],
        inputs: list[torch.Tensor],
    ) -> np.ndarray:
        """The numbers of the answer; the judge draws the same ones."""
        failure = None
        try:
            asked["shape"] = self.shape(args, kwargs, inputs)
        except Exception as error:
            failure = error
            asked["shape"] = None
        value = self.members.random.standard_normal(asked["shape"] or [1]).astype(np.float32)
        self.members.left -= 1
        if self.members.left < 0 or not self.calls.keep(asked):
            self.ask(asked)
        if failure is not None:
            raise failure
        return value

    def shape(self, args: tuple, kwargs: dict[str, Any], inputs: list[torch.Tensor]) -> list[int]:
        """The shape of the real member's output."""
        known = self.members.shapes.get(self.name, {}).get(shapes_of(inputs))
        if known is not None:
            return known
        with torch.no_grad():
            return list(self.real(*args, **kwargs).shape)


def plain(double: Double) -> Callable[..., Any]:
    """A double as a plain function."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return double(*args, **kwargs)

    return call


def pose_as_network(double: Double, built: Any) -> None:
    """Give a network's double weights, and the argument names of the network that it replaces."""
    weight = torch.full((16,), WEIGHT, dtype=torch.float32, device="cpu")
    double.register_parameter("weight", nn.Parameter(weight))
    if hasattr(built, "model"):
        double.names = own_names(built.model)


def buffer_copies(built: Any) -> dict[str, torch.Tensor]:
    """Copies of the buffers of a model, by name, to see later whether a call changed them."""
    buffers = {name: getattr(built, name) for name in BUFFERS if hasattr(built, name)}
    return {n: b.detach().clone() for n, b in buffers.items() if torch.is_tensor(b)}


class PassOn(torch.autograd.Function):
    """The value itself, connected to all inputs, so that it shows if a gradient is cut."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor, *inputs: torch.Tensor) -> torch.Tensor:
        ctx.inputs = [(i.shape, i.dtype, i.is_floating_point()) for i in inputs]
        return value.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple:
        size = gradient.abs().mean()
        rest = [
            torch.full(shape, float(size), dtype=dtype) if floating else None
            for shape, dtype, floating in ctx.inputs
        ]
        return (gradient, *rest)


def submitted(module: str) -> types.ModuleType:
    """Import libs.MODULE.

    A broken libs/ddim.py must not cost the points of libs/stable_diffusion.py, whose calls to it go
    to a double. If importing the latter fails because of it, an empty module replaces it.
    """
    try:
        return importlib.import_module(f"libs.{module}")
    except Exception:
        if module != "stable_diffusion" or "libs.ddim" in sys.modules:
            raise
    sys.modules["libs.ddim"] = stand_in_module("libs.ddim")
    try:
        return importlib.import_module(f"libs.{module}")
    finally:
        del sys.modules["libs.ddim"]


def modules_with(name: str) -> list[types.ModuleType]:
    """The submission's modules that contain this name."""
    libs = [module for path, module in list(sys.modules.items()) if path.startswith("libs.")]
    return [module for module in libs if name in getattr(module, "__dict__", {})]


@contextlib.contextmanager
def replaced(owner: Any, path: str, double: nn.Module) -> Any:
    """Within this context, a double replaces a dotted attribute."""
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    if isinstance(getattr(owner, name, None), nn.Module):
        before = getattr(owner, name)
        setattr(owner, name, double)
        try:
            yield
        finally:
            setattr(owner, name, before)
    else:  # a method: hide it behind an attribute of the object that is not a sub-module
        owner.__dict__[name] = lambda *args, **kwargs: double(*args, **kwargs)
        try:
            yield
        finally:
            owner.__dict__.pop(name, None)


def own_path(built: Any, path: str) -> str:
    """The attribute that is vae.encoder or vae.decoder in the contract; other paths stay.

    The autoencoder may have another name; its halves may be methods, or belong to the model itself.
    """
    if path not in HALVES:
        return path
    children = [name for name, _ in built.named_children() if name != "model"]
    for name in (*dict.fromkeys(["vae", *children]), ""):
        owner = getattr(built, name, None) if name else built
        for half in HALVES[path]:
            if hasattr(owner, half):
                return f"{name}.{half}" if name else half
    return path


def passes_on(part: nn.Module) -> bool:
    """Whether a level's member only returns its input, which means there is no such member."""
    if next(part.parameters(), None) is not None:
        return False
    x = torch.zeros(1, 8, 4, 4)
    for arguments in ((x,), (x, x)):
        with contextlib.suppress(Exception):
            return part(*arguments) is x
    return False


def method_of(built: Any, name: str) -> Any:
    """A method by its name in the contract, or by its name in another edition."""
    if name in CHAIN and not hasattr(built, name):
        return getattr(built, next((other for other in CHAIN if hasattr(built, other)), name))
    return getattr(built, name)


def lacks_time(function: Any, place: int) -> bool:
    """Whether a function takes the noise, and not the time step, at this position."""
    named = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    if len(named) <= place:
        return False
    there, is_last = named[place], len(named) == place + 1
    is_noise = there.name in NOISES or (is_last and not there.name.startswith("t"))
    return there.default is not there.empty and is_noise


def own_names(network: Any) -> dict[str, str]:
    """The contract's argument names, by the network's own, if it takes the time before the label.

    Empty for all other networks.
    """
    kind: Any = type(network)
    if kind is HollowUNet:
        kind = getattr(sys.modules.get("libs.unet"), "UNet", kind)
    try:
        names = inputs_of(kind)
    except (TypeError, ValueError, AttributeError):
        return {}
    if len(names) == 3 and names[1] in TIMES and names[2] in LABELS:
        return dict(zip(names, ("x", "time", "label"), strict=True))
    return {}


@functools.lru_cache
def inputs_of(kind: Any) -> list[str]:
    """The names of the first three inputs of a network's class."""
    return list(inspect.signature(kind.forward).parameters)[1:4]


def in_own_order(network: Any, arguments: list[Any]) -> list[Any]:
    """The arguments x, label and time in the order in which a network takes them."""
    if len(arguments) != 3 or not own_names(network):
        return arguments
    x, label, time = arguments
    return [x, time, label]


def construct(module: str, made: Any, kwargs: dict[str, Any]) -> Any:
    """Construct a class with empty networks inside; with real ones if that fails."""
    try:
        with hollow_networks(module) if module != "unet" else contextlib.nullcontext():
            return made(**kwargs)
    except Exception:
        return made(**kwargs)


@contextlib.contextmanager
def files_without_weights() -> Any:
    """The path of an empty checkpoint; within this context any module can load it."""
    load = nn.Module.load_state_dict

    def lenient(self: nn.Module, state: Any, *args: Any, **kwargs: Any) -> Any:
        return load(self, state, *args, **kwargs) if state else load(self, {}, strict=False)

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "weights.pth")
        torch.save({}, path)
        with mock.patch.object(nn.Module, "load_state_dict", lenient):
            yield path


class HollowUNet(nn.Module):
    """Replaces a UNet whose output is not used; its one parameter has the device."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.parameter = nn.Parameter(torch.zeros(1))


class HollowAutoencoder(HollowUNet):
    """Replaces a TAESD, whose two halves doubles will replace."""

    factor, channels = 8, 4

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.encoder, self.decoder = HollowUNet(), HollowUNet()


@contextlib.contextmanager
def hollow_networks(module: str) -> Any:
    """Within this context libs.MODULE uses empty networks, since building real ones is slow."""
    names = ("unet", "tiny_autoencoder", "latent_space", "ddpm", module)
    libs = {name: sys.modules.get(f"libs.{name}") for name in names}
    hollow = {"UNet": ("unet", HollowUNet), "TAESD": ("tiny_autoencoder", HollowAutoencoder)}
    with contextlib.ExitStack() as stack:
        for name, (home, stand_in) in hollow.items():
            real = getattr(libs[home], name, None)
            if hasattr(real, "encode") or hasattr(real, "decode"):
                continue  # it has methods of its own that matter
            for user in map(libs.get, dict.fromkeys((home, "latent_space", "ddpm", module))):
                if real is not None and getattr(user, name, None) is real:
                    stack.enter_context(mock.patch.object(user, name, stand_in))
            if real is not None:
                for initialise in (*initialisers(libs["ddpm"]), *initialisers(libs[module])):
                    stack.enter_context(default_replaced(initialise, real, stand_in))
        yield


def initialisers(module: Any) -> list[types.FunctionType]:
    """The __init__ of each class that a module defines; none if it is not imported."""
    if module is None:
        return []
    classes: list[Any] = [kind for kind in vars(module).values() if isinstance(kind, type)]
    own = [kind.__init__ for kind in classes if kind.__module__ == module.__name__]
    return [made for made in own if isinstance(made, types.FunctionType)]


@contextlib.contextmanager
def default_replaced(function: types.FunctionType, real: Any, stand_in: Any) -> Any:
    """Within this context, a stand-in replaces the real class in a function's defaults."""
    before = function.__defaults__, function.__kwdefaults__
    positional, named = before[0] or (), before[1] or {}
    function.__defaults__ = tuple(stand_in if value is real else value for value in positional)
    function.__kwdefaults__ = {k: stand_in if v is real else v for k, v in named.items()}
    try:
        yield
    finally:
        function.__defaults__, function.__kwdefaults__ = before


def in_mode(module: Module, training: bool) -> Module:
    """Set a module's mode. `train` is not called if all its parts are in this mode already."""
    waiting: list[nn.Module | None] = [module]
    seen = {id(None)}
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        if not isinstance(part, nn.Module) or part.training is not training:
            return module.train(training)
        seen.add(id(part))
        waiting += part._modules.values()
    return module


def switches(doubles: dict[str, "Double"]) -> dict[str, Any]:
    """State that a call must not change, besides its arguments and modes."""
    network = doubles["model"].parameters() if "model" in doubles else ()
    return {
        "requires_grad": [parameter.requires_grad for parameter in network],
        "grad_mode": torch.is_grad_enabled(),
        "default_dtype": torch.get_default_dtype(),
    }


def tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor with a copy of the array's values, always on the CPU."""
    return torch.from_numpy(np.array(array))


@contextlib.contextmanager
def moved_away(module: nn.Module) -> Iterator[None]:
    """Within this context a module is on the second device, and all tensors know their device."""
    with contextlib.ExitStack() as stack:
        for part in module.modules():
            for held in (part._buffers, part._parameters):
                stack.enter_context(mock.patch.dict(held, as_away(held)))
        stack.enter_context(Devices())
        yield


def as_away(named: dict[Any, Any]) -> dict[Any, Any]:
    """A copy with the tensors on the second device."""
    return {k: v.as_subclass(Away) if torch.is_tensor(v) else v for k, v in named.items()}


def as_tensors(given: dict[Any, Any], away: bool = False) -> dict[Any, Any]:
    """The arguments with arrays converted to tensors, and with copies of lists."""
    found = {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in given.items()}
    if away:
        found = as_away(found)
    return {k: list(v) if isinstance(v, list) else v for k, v in found.items()}


def changed(given: dict[Any, Any], tensors: dict[Any, Any]) -> list[Any]:
    """The positions and names of arguments that differ from what the judge sent."""
    arrays = {key: value for key, value in given.items() if isinstance(value, np.ndarray)}
    found = [key for key, array in arrays.items() if not same(tensor(array), tensors[key])]
    lists = {key: value for key, value in given.items() if isinstance(value, list)}
    return found + [key for key, value in lists.items() if pack(tensors[key]) != value]


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether shape, dtype and bits are equal, including NaN."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.detach().numpy().tobytes() == b.detach().numpy().tobytes()


def pack(value: Any) -> Any:
    """A value that the wire can carry: tensors as arrays, unknown objects as their type's name.

    Arrays are copies, since they may be sent after student code has changed the tensor.
    """
    if type(value) in PLAIN:
        return value
    if torch.is_tensor(value):
        name = str(value.dtype).removeprefix("torch.")
        if value.device.type != "cpu":
            return {"tensor": name, "device": value.device.type, "shape": list(value.shape)}
        plain = value.detach()
        array = (plain if name in DTYPES else plain.float()).numpy().copy()
        return {"tensor": name, "array": array}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray) and value.dtype in NAMES:
        return {"tensor": f"numpy {NAMES[value.dtype]}", "array": value.copy()}
    if isinstance(value, list | tuple):
        return [pack(item) for item in value]
    if isinstance(value, dict):
        return {str(key): pack(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return {"type": type(value).__name__}


def describe(error: BaseException, code_folder: str) -> dict[str, Any]:
    """An error as plain values: its types, its text, its place in the submission's own files."""
    try:
        text = str(error)[:SHOWN]
    except BaseException:
        text = "an error whose text cannot be shown"
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) and error.filename:
        where = [(error.filename, error.lineno)]
        quoted = f" in '{str(error.text).strip()[:60]}'" if error.text else ""
        version = ".".join(map(str, sys.version_info[:2]))
        text = f"{str(error.msg)[:SHOWN]}{quoted}, says Python {version}"
    else:
        where = [(f.filename, f.lineno) for f in frames]
    inside = os.path.join(code_folder, "")
    places = [(f.removeprefix(inside), line) for f, line in where if f.startswith(inside)]
    file, line = places[-1] if places else ("", 0)
    return {
        "type": [kind.__name__[:KIND] for kind in type(error).__mro__[:-1][:KINDS]],
        "text": text,
        "file": file,
        "line": line,
        "last_is_theirs": bool(where) and bool(places) and where[-1][0].startswith(inside),
    }


def stand_in_module(path: str) -> types.ModuleType:
    """A module that replaces the network's; each of its classes is an empty network."""
    module: Any = types.ModuleType(path)
    module.UNet = HollowUNet
    module.sized = lambda *args, **kwargs: {}  # of the former kit's variants: options of the UNet

    def other(name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return HollowUNet

    module.__getattr__ = other
    return module
