"""Test doubles: they replace networks and functions, and the judge answers their calls."""

import contextlib
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias
from unittest import mock

import numpy as np
import torch
from torch import nn

from autograder.sandbox.wire import Channel, member_answer
from autograder.worker.devices import Away, check
from autograder.worker.names import own_names
from autograder.worker.values import SHORT, pack, same, tensor

WEIGHT = 100.0  # value of a network double's weights, so that a penalty on them shows
MAX_LATER, MOST_LATER = 1 << 23, 300  # bytes and number of calls reported with the next message
# For each member of a network, the shape of its output by the shapes of its inputs.
Shapes: TypeAlias = dict[str, dict[tuple, list[int]]]


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


class Posing:
    """Makes a double look like the module it replaces: its class and its attributes are that one's.

    Code may ask `isinstance(layer, ResBlock)`, or for a layer's number of channels.
    """

    real: nn.Module | None = None

    @property  # type: ignore[misc]  # not to be set
    def __class__(self) -> type:  # what isinstance asks
        return type(self) if self.real is None else type(self.real)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)  # type: ignore[misc]  # nn.Module's
        except AttributeError:
            if self.real is None:
                raise
            return getattr(self.real, name)


class Double(Posing, nn.Module):
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
        real: the member; it runs on the real input if its output's shape is unknown.
    """

    members: Members
    run: Callable[..., Any]  # the member's own forward

    def __init__(self, name: str, calls: Calls, real: nn.Module, members: Members) -> None:
        super().__init__(name, calls)
        self.__dict__.update(run=real.forward, members=members)

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
        value = member_answer(self.members.random, asked["shape"])
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
            return list(self.run(*args, **kwargs).shape)


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


def modules_with(name: str) -> list[types.ModuleType]:
    """The submission's modules that contain this name."""
    libs = [module for path, module in list(sys.modules.items()) if path.startswith("libs.")]
    return [module for module in libs if name in getattr(module, "__dict__", {})]


@contextlib.contextmanager
def overtaken(owner: nn.Module, name: str, double: nn.Module) -> Iterator[None]:
    """Within this context, a double gets the calls of a member, which otherwise stays what it is.

    A module that is a member twice is replaced instead: it can have one double at a time.
    """
    member = getattr(owner, name)
    if "forward" in vars(member):
        with replaced(owner, name, double):
            yield
    else:
        with mock.patch.dict(vars(member), forward=double):
            yield


@contextlib.contextmanager
def replaced(owner: Any, path: str, double: nn.Module) -> Any:
    """Within this context, a double replaces a dotted attribute."""
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    if isinstance(getattr(owner, name, None), nn.Module):
        before = getattr(owner, name)
        double.__dict__["real"] = before  # not as a sub-module
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


def passes_on(part: nn.Module) -> bool:
    """Whether a level's member only returns its input, which means there is no such member."""
    if next(part.parameters(), None) is not None:
        return False
    x = torch.zeros(1, 8, 4, 4)
    for arguments in ((x,), (x, x)):
        with contextlib.suppress(Exception):
            return part(*arguments) is x
    return False


def switches(doubles: dict[str, "Double"], training: bool) -> dict[str, Any]:
    """State that a call must not change, besides its arguments and modes.

    Code that is right in training may switch gradients on in evaluation.
    """
    network = doubles["model"].parameters() if "model" in doubles else ()
    return {
        "requires_grad": [parameter.requires_grad for parameter in network],
        "grad_mode": training and torch.is_grad_enabled(),
        "default_dtype": torch.get_default_dtype(),
    }
