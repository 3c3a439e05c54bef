"""The worker: imports a submission and answers the judge's requests about it.

It runs in a confined process, holds no expected values and gives no verdicts. Student code may
patch everything here, but can only change the values that it sends, and the judge compares those.
"""

import contextlib
import inspect
import os
import sys
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from unittest import mock

import numpy as np
import numpy.random  # NumPy imports it only on use, which would be in each worker
import torch
from torch import nn

from autograder.sandbox.wire import Channel
from autograder.worker import machine
from autograder.worker.building import construct, files_without_weights, stand_in_module, submitted
from autograder.worker.devices import Devices
from autograder.worker.doubles import (
    Calls,
    Double,
    Member,
    Members,
    Shapes,
    modules_with,
    overtaken,
    passes_on,
    plain,
    pose_as_network,
    replaced,
    shapes_noted,
    switches,
)
from autograder.worker.names import in_own_order, lacks_time, method_of, own_path
from autograder.worker.values import (
    Weights,
    as_tensors,
    buffer_copies,
    changed,
    in_mode,
    moved_away,
    pack,
    same,
    tensor,
)

SHOWN = 2000  # characters of an error's text
WEIGHTS = ["vae_encoder_weights", "vae_decoder_weights"]
KINDS, KIND = 20, 80  # classes of an error that are named, characters of each name


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
            training: the mode of object and doubles; evaluation runs without gradients.
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
            stack.enter_context(torch.set_grad_enabled(training))
            for name in doubles:
                stack.enter_context(replaced(built, own_path(built, name), self.doubles[name]))
            self.replace_functions(inside, stack)
            if away:
                stack.enter_context(moved_away(built))
            elif method == "forward":
                self.shapes[key] = stack.enter_context(shapes_noted(built))
            before = switches(self.doubles, training)
            try:
                result = bound(*arguments)
            finally:
                after = switches(self.doubles, training)
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
                    stack.enter_context(overtaken(unet, name, self.member(name, child)))
            self.channel.send({"structure": structure})
            stack.enter_context(torch.set_grad_enabled(training))
            result = unet(*in_own_order(unet, [tensor(arg) for arg in args]))
            gradients = self.gradients(result) if training else None
            return {"value": pack(result), "gradients": gradients}

    def double_level(
        self, name: str, i: int, level: nn.Module, stack: contextlib.ExitStack
    ) -> list[bool]:
        """Replace the members of one level; returns which members exist."""
        if not isinstance(level, nn.ModuleList):
            raise TypeError(f"self.{name}[{i}] is a {type(level).__name__}, not an nn.ModuleList")
        there = [part is not None and not passes_on(part) for part in level]
        for j, part in enumerate(level):
            if there[j]:
                double = self.member(f"{name}.{i}.{j}", part)
                stack.enter_context(overtaken(level, str(j), double))
        return there

    def doubles_of(
        self, names: list[str], ahead: Mapping[str, np.ndarray], training: bool = True
    ) -> dict[str, Double]:
        """Doubles by name, with the answers they got ahead, in training or evaluation mode."""
        return {n: in_mode(Double(n, self.calls, ahead.get(n)), training) for n in names}

    def replace_functions(self, names: list[str], stack: contextlib.ExitStack) -> None:
        """Replace functions by doubles, in each module of the submission that has them."""
        for name in names:
            for owner in modules_with(name):
                stack.enter_context(mock.patch.object(owner, name, self.doubles[name].__call__))

    def member(self, name: str, real: nn.Module) -> Double:
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
