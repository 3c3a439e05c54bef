"""Runs a submission and observes it line by line, for questions about it. Runs in the sandbox.

It sends only numbers, names and small pictures; the judge itself reads the text of lines.
"""

import ast
import contextlib
import inspect
import math
import os
import random
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from autograder.extras.viva.statements import lines_of, statements
from autograder.sandbox.wire import Channel
from autograder.worker import machine
from autograder.worker.building import construct, submitted
from autograder.worker.names import in_own_order, lacks_time, method_of

DDPM = ("q_sample", "compute_loss", "p_sample", "p_sample_loop")
TIMES = 3  # how often a line of a loop is reported
LINES = 400  # most lines reported
SIDE = 24  # pixels of the pictures' sides
DRAWN_STEPS = 100  # steps of the chain that draws them
SKIPPED = 4  # the second picture is drawn with every fourth of these steps
LONGER = 100  # a call counts as endless if it runs this many times the lines of the original
OUTCOMES = ("same", "other", "shape", "nothing", "error", "endless")
SAME, OTHER, SHAPE, NOTHING, ERROR, ENDLESS = OUTCOMES


def serve(channel: Channel, code_folder: str) -> None:
    """Receive {"seed", "steps", "shape", "tries", "gpu"}, and send what `observe` returns.

    With "gpu" it pretends that there is a GPU, for code that names one.
    """
    machine.furnish(code_folder)
    machine.spare()
    request = channel.receive()
    if request.pop("gpu"):
        machine.pretend_gpu()
    channel.send(Observer(code_folder, **request).observe())


class Endless(BaseException):
    """A call has run so many lines that it counts as endless; submissions do not catch this."""


class Toy(nn.Module):
    """A tiny network whose answer depends on all its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.parameter = nn.Parameter(torch.zeros(1))  # some code asks it for the device

    def forward(self, x: torch.Tensor, label: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        shift = 0.3 * label + torch.sin(time.float())
        return torch.tanh(x) + 0.3 * shift.view(-1, 1, 1, 1)


class Loud(torch.Tensor):
    """A tensor that reports computations with it, but not access to its shape or device."""

    heard: Callable[[], None] = staticmethod(lambda: None)

    @classmethod
    def __torch_function__(
        cls, function: Any, kinds: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if getattr(function, "__name__", "") != "__get__":
            cls.heard()
        with torch._C.DisableTorchFunctionSubclass():
            return function(*plain(args), **plain(kwargs or {}))


def plain(value: Any) -> Any:
    """The value with ordinary tensors in place of Loud ones."""
    if isinstance(value, Loud):
        return value.as_subclass(torch.Tensor)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


class Function:
    """One function of a submission: its code and its statements by line."""

    def __init__(self, method: Any, code_folder: str) -> None:
        code = inspect.unwrap(getattr(method, "__func__", method)).__code__
        path = os.path.realpath(code.co_filename)
        self.code, self.path = code, path
        self.file = os.path.relpath(path, os.path.realpath(code_folder))
        tree = ast.parse(Path(path).read_bytes())
        (self.node,) = (
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef)
            and code.co_firstlineno == min([node.lineno, *(d.lineno for d in node.decorator_list)])
        )
        self.statements = {
            line: statement
            for statement in statements(self.node.body)
            for line in lines_of(statement)
        }

    def without(self, statement: ast.stmt) -> types.ModuleType:
        """The function's module, with a statement replaced by `pass`."""
        place = statement.lineno, statement.col_offset

        class LeaveOut(ast.NodeTransformer):
            def generic_visit(self, node: ast.AST) -> ast.AST:
                if isinstance(node, ast.stmt) and (node.lineno, node.col_offset) == place:
                    return ast.copy_location(ast.Pass(), node)
                return super().generic_visit(node)

        tree = ast.fix_missing_locations(LeaveOut().visit(ast.parse(Path(self.path).read_bytes())))
        name = "libs." + os.path.splitext(os.path.basename(self.path))[0]
        module = types.ModuleType(name)
        module.__package__, module.__file__ = "libs", self.path
        exec(compile(tree, self.path, "exec"), module.__dict__)
        return module


class Observer:
    """Runs the functions of a submission on random inputs.

    Args:
        seed: seed of the inputs and of all choices.
        steps: length of the chain.
        shape: an image's shape, (C, H, W); H and W are even.
        tries: how many statements are left out, one at a time.
    """

    def __init__(
        self, code_folder: str, seed: int, steps: int, shape: list[int], tries: int
    ) -> None:
        self.code_folder, self.seed, self.steps, self.shape = code_folder, seed, steps, shape
        self.tries, self.draw = tries, random.Random(seed)
        self.middle = steps // 2
        torch.manual_seed(seed)
        self.x, self.noise = torch.randn(2, 3, *shape)
        self.labels = torch.tensor([7, 2, 5])
        self.times = torch.tensor([0, steps // 3, steps - 1])

    def observe(self) -> dict[str, Any]:
        """All facts; "errors" has the error's name for each that could not be found out."""
        facts: dict[str, Any] = {"errors": {}}
        for name, find in {
            "shapes": self.shapes,
            "alpha_bar": self.alpha_bar,
            "calls": self.network_calls,
            "left_out": self.left_out,
            "pictures": self.pictures,
            "label": self.label_lines,
        }.items():
            try:
                facts[name] = find()
            except Exception as error:
                facts["errors"][name] = type(error).__name__
        return facts

    def ddpm(self, module: Any = None) -> Any:
        """The submission's model with a toy network."""
        home = module or submitted("ddpm")
        options: dict[str, Any] = {"timesteps": self.steps, "dim": 8, "context_dim": 8}
        options |= {"num_classes": 10, "dim_mults": (1, 2), "attn_levels": (0,)}
        built = construct("ddpm", home.DDPM, {"img_shape": tuple(self.shape), **options})
        built.model = Toy()
        return built.eval()

    def unet(self, module: Any = None) -> Any:
        """The submission's network with random weights."""
        home = module or submitted("unet")
        torch.manual_seed(self.seed)
        network = home.UNet(8, 8, 10, in_channels=self.shape[0], dim_mults=(1, 2), attn_levels=(0,))
        for parameter in network.parameters():
            parameter.data = 0.2 * torch.randn_like(parameter)
        return network.eval()

    def call(self, name: str, built: Any, labels: torch.Tensor | None = None) -> Any:
        """Make a call, with the same inputs each time."""
        torch.manual_seed(self.seed)
        x, noise, t = self.x.clone(), self.noise.clone(), self.times.clone()
        labels = self.labels.clone() if labels is None else labels
        if name == "q_sample":
            return built.q_sample(x, t, noise)
        if name == "compute_loss":
            times = [] if lacks_time(built.compute_loss, 2) else [t]
            return built.compute_loss(x, labels, *times, noise)
        if name.startswith("p_sample:"):
            step = int(name.split(":")[1])
            return built.p_sample(x, labels, torch.full((3,), step), step)
        if name == "p_sample_loop":
            return method_of(built, name)(labels)
        return built(*in_own_order(built, [x, labels, t]))

    def calls_of(self, function: str) -> list[str]:
        """The calls that show what a function does."""
        return ["p_sample:0", f"p_sample:{self.middle}"] if function == "p_sample" else [function]

    def functions(self) -> dict[str, tuple[Any, Function]]:
        """The submission's functions by name, each with its object."""
        found: dict[str, tuple[Any, Function]] = {}
        makers: list[tuple[Callable[[], Any], tuple[str, ...]]] = [
            (self.ddpm, DDPM),
            (self.unet, ("forward",)),
        ]
        for make, names in makers:
            try:
                built = make()
            except Exception:
                continue
            for name in names:
                try:
                    found[name] = built, Function(method_of(built, name), self.code_folder)
                except Exception:  # it does not exist, or its source cannot be found
                    continue
        return found

    def shapes(self) -> list[list[Any]]:
        """[file, line, last line, name, count, shape] of what statements assign, or return ("")."""
        found: list[list[Any]] = []
        for name, (built, function) in self.functions().items():
            seen: Counter[int] = Counter()

            def left(
                statement: ast.stmt,
                local: dict[str, Any],
                result: Any,
                seen: Counter[int] = seen,
                function: Function = function,
            ) -> None:
                target, value = "", result
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    target = statement.targets[0].id
                    value = local.get(target)
                elif not isinstance(statement, ast.Return):
                    return
                seen[statement.lineno] += 1
                if isinstance(value, torch.Tensor) and seen[statement.lineno] <= TIMES:
                    last = statement.end_lineno
                    where = [function.file, statement.lineno, last, target]
                    found.append([*where, seen[statement.lineno], list(value.shape)])

            with contextlib.suppress(Exception):
                watched(partial(self.call, self.calls_of(name)[-1], built), function, left)
        return found[:LINES]

    def alpha_bar(self) -> list[float]:
        """alpha_bar in the middle of the chain, and beta there."""
        built = self.ddpm()
        rate, beta = built.sqrt_alphas_cumprod[self.middle], built.betas[self.middle]
        return [float(rate) ** 2, float(beta)]

    def network_calls(self) -> int:
        """How often the whole chain calls the network."""
        built = self.ddpm()
        self.call("p_sample_loop", built)
        return built.model.calls

    def left_out(self) -> list[list[Any]]:
        """[file, first line, last line, call, outcome, error] for statements that are left out."""
        candidates = []
        for name, (built, function) in self.functions().items():
            ran: set[int] = set()
            calls = []
            for call in self.calls_of(name):
                with contextlib.suppress(Exception):
                    watched(
                        partial(self.call, call, built),
                        function,
                        lambda statement, *_, ran=ran: ran.add(statement.lineno),
                    )
                    calls.append(call)
            kinds = ast.Assign | ast.AugAssign | ast.Expr | ast.If
            for statement in dict.fromkeys(function.statements.values()):
                is_text = isinstance(statement, ast.Expr) and isinstance(
                    statement.value, ast.Constant
                )
                if isinstance(statement, kinds) and statement.lineno in ran and not is_text:
                    candidates += [(call, built, function, statement) for call in calls]
        self.draw.shuffle(candidates)
        whole: dict[str, tuple[Any, int]] = {}  # each call with nothing left out
        found = []
        for call, built, function, statement in candidates[: self.tries]:
            if call not in whole:
                whole[call] = self.counted(partial(self.call, call, built), math.inf)
            found.append(self.without(call, *whole[call], function, statement))
        return found

    def without(
        self, call: str, before: Any, ran: int, function: Function, statement: ast.stmt
    ) -> list[Any]:
        """What happens to a call if a statement is left out.

        Args:
            before, ran: what the call gives with it, and how many lines it runs, see `counted`.
        """
        where = [function.file, statement.lineno, statement.end_lineno, call]
        try:
            module = function.without(statement)
            with_it = sys.modules[module.__name__]
            sys.modules[module.__name__] = module
            try:
                other = self.unet(module) if call == "forward" else self.ddpm(module)
            finally:
                sys.modules[module.__name__] = with_it
            after, _ = self.counted(partial(self.call, call, other), LONGER * (ran + 10))
        except Endless:
            return [*where, ENDLESS, ""]
        except Exception as error:
            return [*where, ERROR, type(error).__name__]
        return [*where, outcome(before, after), ""]

    def counted(self, call: Callable[[], Any], most: float) -> tuple[Any, int]:
        """The result of a call, and how many lines of the submission it ran.

        Raises:
            Endless: it ran more than `most` lines.
        """
        ran, folder = 0, os.path.realpath(self.code_folder) + os.sep

        def local(frame: Any, event: str, _: Any) -> Any:
            nonlocal ran
            ran += event == "line"
            if ran > most:
                raise Endless
            return local

        def enter(frame: Any, event: str, _: Any) -> Any:
            file = frame.f_code.co_filename
            return local if file.startswith((folder, self.code_folder)) else None

        with traced(enter):
            return call(), ran

    def pictures(self) -> dict[str, Any]:
        """Two pictures of one figure: by the whole chain, and by every fourth step of it.

        The network is replaced by one that knows the figure, and whose answers are not larger than
        noise usually is.
        """
        self.steps, steps = DRAWN_STEPS, self.steps
        self.shape, shape = [1, SIDE, SIDE], self.shape
        try:
            built = self.ddpm()
        finally:
            self.steps, self.shape = steps, shape
        target = figure(self.draw)
        rates = built.sqrt_alphas_cumprod.double()

        class Knows(Toy):
            def forward(self, x: Any, label: Any, time: Any) -> Any:
                rate = rates[time].view(-1, 1, 1, 1)
                eps = (x - rate * target) / (1 - rate**2).sqrt()
                return eps.clamp(-2, 2).float()

        built.model = Knows()
        labels = torch.tensor([1])
        torch.manual_seed(self.seed)
        whole = method_of(built, "p_sample_loop")(labels)
        x = torch.randn(1, 1, SIDE, SIDE)
        for step in reversed(range(0, DRAWN_STEPS, SKIPPED)):
            x = built.p_sample(x, labels, torch.full((1,), step), step)
        images = [whole, (x + 1) / 2]
        errors = [float((image - (target + 1) / 2).abs().mean()) for image in images]
        drawn = [(255 * image.reshape(SIDE, SIDE).clamp(0, 1)).round().byte() for image in images]
        return {"whole": drawn[0].numpy(), "skipped": drawn[1].numpy(), "errors": errors}

    def label_lines(self) -> list[list[Any]]:
        """[file, line, last line, whether it computes with the label] for statements that ran."""
        found = []
        for name, (built, function) in self.functions().items():
            if name not in ("compute_loss", "p_sample", "forward"):
                continue
            ran: dict[int, ast.stmt] = {}
            reading: set[int] = set()
            code, by_line = function.code, function.statements

            def heard(code: Any = code, by_line: Any = by_line, reading: Any = reading) -> None:
                frame: Any = sys._getframe()
                while frame is not None:
                    if frame.f_code is code and frame.f_lineno in by_line:
                        reading.add(by_line[frame.f_lineno].lineno)
                    frame = frame.f_back

            def record(statement: ast.stmt, *_: Any, ran: Any = ran) -> None:
                ran[statement.lineno] = statement

            call = self.calls_of(name)[-1]
            try:
                watched(partial(self.call, call, built), function, record)
                Loud.heard = staticmethod(heard)
                self.call(call, built, self.labels.clone().as_subclass(Loud))
            except Exception:  # this function does not run
                continue
            simple = {n: s for n, s in ran.items() if not hasattr(s, "body")}
            found += [
                [function.file, line, statement.end_lineno, line in reading]
                for line, statement in simple.items()
            ]
        return found[:LINES]


def watched(call: Callable[[], Any], function: Function, left: Callable[..., None]) -> Any:
    """Make a call, and report each statement of a function that ran: statement, locals, result."""
    at: dict[int, ast.stmt] = {}  # the running statement of each frame

    def local(frame: Any, event: str, result: Any) -> Any:
        now = function.statements.get(frame.f_lineno)
        before = at.get(id(frame))
        if before is not None and (event == "return" or now is not before):
            left(before, dict(frame.f_locals), result if event == "return" else None)
        if event == "line" and now is not None:
            at[id(frame)] = now
        if event == "return":
            at.pop(id(frame), None)
        return local

    def enter(frame: Any, event: str, _: Any) -> Any:
        return local if frame.f_code is function.code else None

    with traced(enter):
        return call()


@contextlib.contextmanager
def traced(enter: Callable[..., Any]) -> Iterator[None]:
    """Within this context, trace with `enter`."""
    earlier = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(earlier)


def outcome(before: Any, after: Any) -> str:
    """How a result compares with the original one, as one of OUTCOMES."""
    if after is None:
        return NOTHING
    if not isinstance(after, torch.Tensor) or after.shape != before.shape:
        return SHAPE
    return SAME if torch.allclose(before, after, rtol=1e-5, atol=1e-6) else OTHER


def figure(draw: random.Random) -> torch.Tensor:
    """A simple figure of random size and place, [SIDE, SIDE] in {-1, 1}."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    y, x = rows - draw.uniform(9, 14), columns - draw.uniform(9, 14)
    size = draw.uniform(5, 8)
    radius = (x**2 + y**2).sqrt()
    angle = draw.uniform(0, math.pi)
    across = x * math.cos(angle) + y * math.sin(angle)
    inside = draw.choice(
        [
            radius < size,
            (radius < size + 1) & (radius > size - 2),
            (across.abs() < 2) & (radius < size + 2),
            (torch.maximum(x.abs(), y.abs()) < size - 1),
        ]
    )
    return inside.float() * 2 - 1
