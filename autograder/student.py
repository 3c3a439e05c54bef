"""The judge's view of a submission: calls go to a confined worker, answers come back as arrays.

What goes wrong on the way (an error in the student's code, a worker that died or hangs, an answer
that is none) is raised as a `Finding`: a sentence for the student, and the id of a hint.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from autograder.cases import Case
from autograder.sandbox.wire import BadMessage, Channel, Closed, Slow

IMPORT_SECONDS = 15.0  # importing torchvision takes seconds on a slow machine
CALL_SECONDS = 12.0
IMPATIENT_SECONDS = 5.0  # once several calls hung
SUBMISSION_SECONDS = 150.0  # of waiting for one submission, over all its tests
MAX_DOUBLE_CALLS = 5000  # of one call: a chain of T=1000 asks 2,000 times
MAX_DEATHS = 3  # of workers, per part
MAX_KEPT = 1 << 28  # bytes of all arguments of one call's doubles
MAX_OUTPUT = 1 << 22  # numbers that a double answers with
USE_UNET = ("ddpm", "edm")  # modules that import libs/unet.py

Heritage = tuple[Any, dict[str, dict[str, Any]]]
Handler = Callable[["Asked"], "np.ndarray | str | Ahead"]


class Finding(AssertionError):
    """A test's verdict that something is wrong.

    Args:
        reason: what the output shows, for the student; one or two sentences.
        hint: id of an entry in hints.yaml.
        not_attempted: the function is still a stub.
    """

    def __init__(self, reason: str, hint: str = "", not_attempted: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.hint, self.not_attempted = reason, hint, not_attempted
        # What had happened when the student's code raised an error.
        self.structure: dict[str, Any] = {}
        self.asked: list[Asked] = []


@dataclass(repr=False)
class Asked:
    """One call of a test double by the student's code."""

    name: str
    args: list[Any]
    kwargs: dict[str, Any]
    shape: list[int] | None = None  # of the real module's output
    answered: np.ndarray | None = None

    def size(self) -> int:
        """Bytes of the arguments' arrays."""
        values = [*self.args, *self.kwargs.values()]
        arrays = (value.array for value in values if isinstance(value, Tensor))
        return sum(array.nbytes for array in arrays if array is not None)

    def bind(self, *names: str) -> dict[str, Any]:
        """The arguments by their names in the contract; unknown keywords keep their own."""
        return {**dict(zip(names, self.args, strict=False)), **self.kwargs}


@dataclass(repr=False)
class Ahead:
    """A double's answer, with those to its next calls, which saves asking the judge each time.

    The next answers are for calls whose first tensor has their shape, in this order.
    """

    value: np.ndarray
    following: np.ndarray  # [n, *value.shape]


@dataclass(repr=False)
class Answer:
    """What a call gave."""

    value: Any
    changed: list[Any] = field(default_factory=list)  # indices of inputs, names of buffers
    mode_changed: list[str] = field(default_factory=list)  # names of doubles
    gradients: dict[str, float] | str = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)


@dataclass
class Patience:
    """How much longer to wait for a submission; shared by its parts."""

    seconds_left: float = SUBMISSION_SECONDS
    hangs: int = 0  # calls that did not come back, in any part
    hanging: dict[str, Finding] = field(default_factory=dict)  # by module whose import hangs
    stand_in: bool = False  # libs/unet.py is broken: an empty network stands in for it


class Student:
    """One part's view of a submission.

    Args:
        hire: starts a fresh worker; returns it with a `channel`, `kill()` and `end(timeout)`.
        patience: shared by the submission's parts.
        heritage: what the part before handed over, its worker and what that has built.
    """

    def __init__(
        self, hire: Callable[[], Any], patience: Patience, heritage: Heritage | None = None
    ) -> None:
        self.hire = hire
        self.patience = patience
        self.worker, self.built = heritage or (None, {})
        self.deaths = 0
        self.last_death = ""

    def hand_over(self) -> Heritage | None:
        """The worker, if it is alive and well, for the next part; this view is over."""
        if self.worker is None or self.deaths or self.patience.stand_in:
            self.stop()
            return None
        heritage = self.worker, self.built
        self.worker, self.built = None, {}
        return heritage

    def build(
        self, module: str, name: str, kwargs: dict[str, Any], optional: dict[str, Any] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """Construct libs.MODULE.NAME once.

        A broken libs/unet.py must not cost the points of ddpm.py and edm.py: where building with
        it fails, an empty network stands in for it.

        Returns:
            The key of the object, and {"attributes": ..., "optional": arguments it knew}.
        """
        key = repr((module, name, kwargs, optional))
        if key not in self.built:
            request = {"key": key, "module": module, "name": name, "kwargs": kwargs}
            request["optional"] = optional or {}
            if module in self.patience.hanging:
                raise self.patience.hanging[module]
            try:
                self.built[key] = self._build(request)
            except Finding as finding:
                check_attempted(finding, module)
                if module not in USE_UNET or self.patience.stand_in:
                    raise
                self.built[key] = self._build_without_unet(request)
        return key, self.built[key]

    def ddpm(self, case: Case) -> str:
        """The key of a case's DDPM.

        Skips the test where an earlier edition cannot build it, or where a fault in the use of the
        autoencoder, which the part latent judges, keeps another part's case from being built.
        """
        try:
            key, built = self.build("ddpm", "DDPM", case.kwargs, case.optional)
        except Finding as finding:
            if case.kwargs.get("use_vae") and case.part != "latent" and not self.deaths:
                pytest.skip(f"with use_vae: {finding.reason}")
            raise
        if set(built["optional"]) != set(case.optional):
            pytest.skip(f"this DDPM does not know {', '.join(case.optional)}")
        return key

    def edm(self, case: Case) -> str:
        """The key of a case's EDM; a module that is not there was not attempted."""
        kwargs = {name: v for name, v in case.kwargs.items() if name != "timesteps"}
        sigma_data = float(case.inputs["sigma_data"])
        return self.build("edm", "EDM", {**kwargs, "sigma_data": sigma_data})[0]

    def call(
        self,
        key: str,
        method: str,
        *args: Any,
        doubles: dict[str, Handler] | None = None,
        gradients: bool = False,
        training: bool = True,
    ) -> Answer:
        """Call a method; each double's handler answers with an array, or a sentence to refuse."""
        request = {"key": key, "method": method, "args": list(args)}
        doubles = doubles or {}
        request |= {"doubles": list(doubles), "gradients": gradients, "training": training}
        answer, asked, _ = self._ask("call", request, CALL_SECONDS, doubles)
        return Answer(
            unpack(answer.get("value")),
            listed(answer.get("changed")),
            listed(answer.get("mode_changed")),
            gradients_of(answer),
            asked,
        )

    def function(
        self,
        module: str,
        name: str,
        *args: Any,
        doubles: dict[str, Handler] | None = None,
        inside: dict[str, Handler] | None = None,
        **kwargs: Any,
    ) -> Answer:
        """Call the function libs.MODULE.NAME; arguments named as a double are that double.

        Those of `inside` are no arguments, but take the place of functions that it calls. A module
        that is not there was not attempted: bonus parts may be left out.
        """
        doubles, inside = doubles or {}, inside or {}
        request = {"module": module, "name": name, "args": list(args), "kwargs": kwargs}
        request |= {"doubles": list(doubles), "inside": list(inside)}
        try:
            answer, asked, _ = self._ask("function", request, IMPORT_SECONDS, doubles | inside)
        except Finding as finding:
            check_attempted(finding, module)
            raise
        return Answer(unpack(answer.get("value")), listed(answer.get("changed")), asked=asked)

    def each(
        self, module: str, name: str, items: list[Any], **kwargs: Any
    ) -> tuple[list[Any], Finding | None]:
        """Call libs.MODULE.NAME once for each item; returns the values, and the error of the next.

        A module that is not there was not attempted.
        """
        request = {"module": module, "name": name, "items": items, "kwargs": kwargs}
        try:
            answer, _, _ = self._ask("each", request, IMPORT_SECONDS, {})
        except Finding as finding:
            check_attempted(finding, module)
            raise
        values = [unpack(value) for value in listed(answer.get("values"))][: len(items)]
        if len(values) == len(items):
            return values, None
        return values, error_finding(answer.get("failed") or {})

    def network(
        self, key: str, *args: Any, handler: Callable[[Asked], np.ndarray | str]
    ) -> tuple[Answer, dict[str, Any]]:
        """Run a UNet made of doubles, all answered by the handler; also returns its structure."""
        request = {"key": key, "args": list(args)}
        answer, asked, structure = self._ask("network", request, CALL_SECONDS, handler)
        value = unpack(answer.get("value"))
        return Answer(value, gradients=gradients_of(answer), asked=asked), structure

    def stop(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.kill()
            self.worker.channel.close()
        self.worker = None
        self.built = {}

    def _build_without_unet(self, request: dict[str, Any]) -> dict[str, Any]:
        """Build with a stand-in for libs/unet.py; where that fails too, it was not the fault."""
        before = self.deaths, self.last_death
        self.stop()
        self.deaths = 0
        self.patience.stand_in = True
        try:
            return self._build(request)
        except Finding as finding:
            self.patience.stand_in = False
            self.stop()
            if finding.hint == "too_slow":
                self.patience.hanging[request["module"]] = finding
            self.deaths, self.last_death = max(self.deaths, before[0]), before[1]
            raise

    def _build(self, request: dict[str, Any]) -> dict[str, Any]:
        stand_in = self.patience.stand_in and request["module"] in USE_UNET
        request = {**request, "stand_in": stand_in}
        answer, _, _ = self._ask("build", request, IMPORT_SECONDS, {})
        attributes = answer.get("attributes")
        if not isinstance(attributes, dict):
            raise Finding("The submission's class gave an answer that is none.", "no_answer")
        attributes = {name: unpack(value) for name, value in attributes.items()}
        return {"attributes": attributes, "optional": listed(answer.get("optional"))}

    def _ask(
        self, operation: str, request: dict[str, Any], seconds: float, doubles: Any
    ) -> tuple[dict[str, Any], list[Asked], dict[str, Any]]:
        """Send a request, answer the doubles' calls meanwhile, and return the answer.

        Returns:
            answer, the doubles' calls, the structure of a network
        """
        if self.deaths >= MAX_DEATHS:
            raise Finding(f"Not run, since earlier tests ended like this: {self.last_death}")
        if self.patience.seconds_left <= 0:
            raise Finding(
                "Not run: the time for this submission was spent by tests that did not come back.",
                "too_slow",
            )
        if self.worker is None:
            self.worker = self.hire()
        channel: Channel = self.worker.channel
        seconds = max(IMPATIENT_SECONDS, seconds / 2**self.patience.hangs)
        start = time.monotonic()
        deadline = start + min(seconds, self.patience.seconds_left)
        calls = Calls(doubles)
        structure: dict[str, Any] = {}
        try:
            channel.send({"op": operation, **request}, deadline)
            while True:
                message = channel.receive(deadline)
                calls.take_earlier(message.get("earlier", []))
                if "answer" in message:
                    break
                if "double" in message:
                    channel.send(calls.reply(message), deadline)
                elif isinstance(message.get("structure"), dict):
                    structure = message["structure"]
                else:
                    raise BadMessage("a message of no known kind")
            answer = message["answer"]
            if not isinstance(answer, dict):
                raise BadMessage("an answer without content")
            finding = error_finding(answer["error"]) if "error" in answer else None
        except (Closed, Slow, BadMessage) as trouble:
            raise self._bury(trouble, seconds) from None
        finally:
            self.patience.seconds_left -= time.monotonic() - start
        if finding is not None:
            finding.structure, finding.asked = structure, calls.asked
            raise finding
        return answer, calls.asked, structure

    def _bury(self, trouble: Exception, seconds: float) -> Finding:
        """Put the worker away; returns what happened to it."""
        self.deaths += 1
        if isinstance(trouble, Slow):
            how = f"The call did not come back within {seconds:.0f} seconds."
            finding = Finding(how, "too_slow")
            self.deaths = MAX_DEATHS  # the next call would hang as well
            self.patience.hangs += 1
        elif isinstance(trouble, BadMessage):
            finding = Finding(f"The process sent something that is no answer: {trouble}.", "forged")
        else:
            how = self.worker.end(2.0)
            finding = Finding(f"The process ended during the call: {how}.", "process_ended")
        self.last_death = finding.reason
        self.stop()
        return finding


class Calls:
    """The doubles' calls during one request, and what they were answered.

    Args:
        doubles: a handler for each double, or one for all of them.
    """

    def __init__(self, doubles: dict[str, Handler] | Handler) -> None:
        self.doubles = doubles
        self.asked: list[Asked] = []
        self.kept = 0  # bytes
        self.following: dict[str, list[np.ndarray]] = {}  # answers given ahead, last one first

    def take_earlier(self, messages: Any) -> None:
        """Note calls that the worker answered with what it was given ahead."""
        for message in messages if isinstance(messages, list) else []:
            asked = self._note(message)
            if not self.following.get(asked.name):
                raise BadMessage("a call that nothing was answered")
            asked.answered = self.following[asked.name].pop()

    def reply(self, message: dict[str, Any]) -> dict[str, Any]:
        """What the double's handler says to a call."""
        asked = self._note(message)
        handler = self.doubles.get(asked.name) if isinstance(self.doubles, dict) else self.doubles
        if handler is None or len(self.asked) > MAX_DOUBLE_CALLS:
            return {"refused": "the network was called far too often"}
        value = handler(asked)
        if isinstance(value, str):
            return {"refused": value}
        following = value.following if isinstance(value, Ahead) else []
        asked.answered = value.value if isinstance(value, Ahead) else value
        self.following[asked.name] = list(following)[::-1]
        return {"value": asked.answered, "following": following}

    def _note(self, message: Any) -> Asked:
        self.asked.append(read_asked(message))
        self.kept += self.asked[-1].size()
        if self.kept > MAX_KEPT:
            raise BadMessage("calls of doubles with far too many numbers")
        return self.asked[-1]


def read_asked(message: Any) -> Asked:
    """The call of a double; BadMessage where it is none."""
    if not isinstance(message, dict):
        raise BadMessage("a call that is none")
    args, kwargs, shape = message.get("args"), message.get("kwargs"), message.get("shape")
    if not (isinstance(args, list) and isinstance(kwargs, dict)):
        raise BadMessage("a call without arguments")
    if not isinstance(shape, list) or not all(type(n) is int and 0 < n < 5000 for n in shape):
        shape = None
    elif math.prod(shape) > MAX_OUTPUT:
        raise BadMessage("an output far too large")
    kwargs = {name: unpack(value) for name, value in kwargs.items()}
    return Asked(str(message.get("double")), [unpack(arg) for arg in args], kwargs, shape)


@dataclass(repr=False)  # pytest would spell out all its numbers
class Tensor:
    """A tensor of the student's as it came over the wire."""

    dtype: str
    device: str
    shape: list[int]
    array: np.ndarray | None


def unpack(value: Any) -> Any:
    """The inverse of the worker's pack; anything malformed stays what it is."""
    if isinstance(value, list):
        return [unpack(item) for item in value]
    if isinstance(value, dict) and "tensor" in value:
        array, shape = value.get("array"), value.get("shape")
        array = array if isinstance(array, np.ndarray) else None
        if array is not None:
            shape = list(array.shape)
        shape = shape if isinstance(shape, list) else []
        return Tensor(str(value["tensor"]), str(value.get("device")), shape, array)
    return value


def listed(value: Any) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def gradients_of(answer: dict[str, Any]) -> dict[str, float] | str:
    """The gradients of an answer, with numbers for values."""
    gradients = answer.get("gradients", {})
    if not isinstance(gradients, dict):
        return "no gradient"
    return {k: v for k, v in gradients.items() if isinstance(v, float)}


def check_attempted(finding: Finding, module: str) -> None:
    """Raise a Finding that says "not attempted" if this one is about a bonus module's absence."""
    absent = [f"No module named 'libs.{name}'" for name in (module, module.split(".")[0])]
    if module in ("ddpm", "unet") or finding.hint != "missing_package":
        return
    if any(a in finding.reason for a in absent):
        reason = f"There is no code/libs/{module.replace('.', '/')}.py."
        raise Finding(reason, "not_attempted", not_attempted=True) from None


def error_finding(error: Any) -> Finding:
    """The finding for an error that the student's code raised."""
    if not isinstance(error, dict):
        raise BadMessage("an error without content")
    kinds = [str(kind) for kind in listed(error.get("type"))] or ["Error"]
    text = " ".join(str(error.get("text", "")).split())[:300]
    place = ""
    if error.get("file"):
        place = f" (code/{str(error['file'])[:80]}, line {error.get('line')})"
    if "NotImplementedError" in kinds and place:
        return Finding(f"Not implemented yet{place}.", "not_attempted", not_attempted=True)
    return Finding(f"{kinds[0]}: {text}{place}".rstrip(), error_hint(kinds, text))


def error_hint(kinds: list[str], text: str) -> str:
    """The id of the hint for a kind of error."""
    lowered = text.lower()
    if "SyntaxError" in kinds:
        return "syntax_error"
    if "ImportError" in kinds:
        return "missing_package"
    if any(word in lowered for word in ("cuda", "nvidia", "mps backend")):
        return "needs_gpu"
    if "AttributeError" in kinds and "has no attribute" in lowered:
        return "renamed"
    if "TypeError" in kinds and "argument" in lowered:
        return "signature"
    if "OSError" in kinds:
        return "missing_file"
    if "must match the size" in lowered or "expected input" in lowered or "shape" in lowered:
        return "shape_error"
    return "raises"
