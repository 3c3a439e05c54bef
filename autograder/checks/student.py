"""The judge's view of a submission: calls go to a confined worker, answers come back as arrays.

Whatever goes wrong on the way (an error in student code, a worker that died or hangs, a forged
answer) is raised as a `Finding`: a sentence for the student, and the id of a hint.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder.checks.cases import Case, Options
from autograder.checks.doubles import MAX_MEMBER_CALLS, Calls, Handler
from autograder.checks.findings import Finding, check_attempted, error_finding
from autograder.checks.messages import (
    Answer,
    Asked,
    read_changed,
    read_gradients,
    read_list,
    read_names,
    read_value,
)
from autograder.reading.program import chain_name, constructor_names
from autograder.sandbox.wire import CHAIN, BadMessage, Channel, Closed, Slow

IMPORT_SECONDS = 15.0  # importing torchvision takes seconds on a slow machine
CALL_SECONDS = 12.0
LEAST_SECONDS = 5.0  # for a call, after several hung
SUBMISSION_SECONDS = 150.0  # waiting time for one submission, over all its tests
PART_SECONDS = 10.0  # of it, reserved for each part that is still to come
PARTS = 10
MAX_DEATHS = 3  # of workers, per part
MAX_FORGED = 10  # forged messages, over all parts
FORGED = "The process sent something that is not an answer"
USE_UNET = ("ddpm", "edm", "fm", "models.dit")  # modules that import libs/unet.py


@dataclass
class WarmWorker:
    """A running worker that one part hands to the next, and what it has built (see `build`)."""

    worker: Any
    built: dict[str, list[str]]


@dataclass
class RunState:
    """What the parts of one submission share: the remaining time, and what is known about it.

    Attributes:
        seconds_left: waiting time left for all parts together.
        to_come: number of parts that have not begun.
        part_left: seconds left for the current part.
        spent: seconds that the current part has waited, by call.
        hangs: calls that did not return, in all parts.
        forged: forged messages, in all parts.
        received: bytes received since the last garbage collection.
        failed: findings of failed builds, by the object's key or the broken module's name.
        stand_in: whether an empty network replaces libs/unet.py, which is broken.
        gpu: whether workers pretend to have a GPU, for code that names one.
    """

    seconds_left: float = SUBMISSION_SECONDS
    to_come: int = PARTS
    part_left: float = SUBMISSION_SECONDS
    spent: dict[str, float] = field(default_factory=dict)
    hangs: int = 0
    forged: int = 0
    received: int = 0
    failed: dict[str, tuple[str, str, bool]] = field(default_factory=dict)
    stand_in: bool = False
    gpu: bool = False

    def begin_part(self) -> None:
        """Set the next part's time: all that is left, except what is reserved for later parts."""
        self.to_come = max(0, self.to_come - 1)
        equal, rest = self.seconds_left / (self.to_come + 1), PART_SECONDS * self.to_come
        self.part_left = max(equal, self.seconds_left - rest)
        self.spent = {}

    def spend(self, what: str, seconds: float) -> None:
        """Record how long a call took."""
        self.seconds_left -= seconds
        self.part_left -= seconds
        self.spent[what] = self.spent.get(what, 0.0) + seconds

    def check_time(self) -> None:
        """Raise a Finding, which says what took the time, if the part's time is spent."""
        if self.part_left > 0:
            return
        most = max(self.spent, key=self.spent.__getitem__, default="")
        used = f": {most} took {self.spent[most]:.0f} s of it" if most else ""
        raise Finding(f"Not run, since the time for this part was spent{used}.", "too_slow")


class Student:
    """One part's view of a submission.

    Args:
        start_worker: returns a fresh worker with a `channel`, `kill()` and `end(timeout)`.
        state: shared by the submission's parts.
        warm: the worker of the previous part, if that handed it over.
        libs: the folder of the submission's modules; the judge may search their text.
    """

    def __init__(
        self,
        start_worker: Callable[[], Any],
        state: RunState,
        warm: WarmWorker | None = None,
        libs: Path | None = None,
    ) -> None:
        self.start_worker = start_worker
        self.state = state
        self.libs = libs
        self.chain_name = chain_name(libs / "ddpm.py") if libs else CHAIN[0]
        self.worker, self.built = (warm.worker, warm.built) if warm else (None, {})
        self.fresh = False  # whether the worker has only built objects so far
        self.deaths = 0
        self.last_death = ""
        self.runs: dict[Any, Answer | Finding] = {}  # results of whole networks

    def hand_over(self) -> WarmWorker | None:
        """Hand the worker to the next part, if it is usable; this view has none afterwards."""
        if self.worker is None or self.deaths or self.state.stand_in:
            self.stop()
            return None
        warm = WarmWorker(self.worker, self.built)
        self.worker, self.built = None, {}
        return warm

    def build(
        self,
        module: str,
        name: str,
        kwargs: dict[str, Any],
        optional: Options = (),
    ) -> tuple[str, list[str]]:
        """Construct libs.MODULE.NAME, once for all who ask.

        A broken libs/unet.py must not cost the points of the models that use it: if building fails
        with it, an empty network replaces it.

        Args:
            optional: sets of further arguments, see `Options` in cases.py.

        Returns:
            The key of the object, and the names of the optional arguments that it was given.
        """
        key = repr((module, name, kwargs, [sorted(given) for given, _ in optional]))
        if key in self.built:
            return key, self.built[key]
        for known in (module, key):
            if known in self.state.failed:
                raise Finding(*self.state.failed[known])
        request: dict[str, Any] = {"key": key, "module": module, "name": name}
        request["kwargs"] = kwargs
        request["optional"] = list(optional)
        fresh = self.worker is None or self.fresh
        try:
            self.built[key] = self._build_as_it_is(request)
        except Finding as finding:
            # A build that fails in a worker that has run other code may work in a new one. A
            # finding without a hint says that nothing was run, which concerns only this part.
            hangs = finding.hint == "too_slow"
            if finding.hint and self.state.part_left > 0 and (fresh or hangs):
                failed = finding.reason, finding.hint, finding.not_attempted
                self.state.failed[module if finding.importing or hangs else key] = failed
            raise
        return key, self.built[key]

    def _build_as_it_is(self, request: dict[str, Any]) -> list[str]:
        """Build; if libs/unet.py prevents it, build with a stand-in for it."""
        try:
            return self._build(request)
        except Finding as finding:
            check_attempted(finding, request["module"])
            if request["module"] not in USE_UNET or self.state.stand_in:
                raise
            return self._build_without_unet(request)

    def ddpm(self, case: Case) -> str:
        """The key of a case's DDPM.

        Skips the test if an earlier edition cannot build it, or if another part's case fails to
        build because of a fault with the autoencoder, which the part latent judges.
        """
        try:
            key, built = self.build("ddpm", "DDPM", case.kwargs, case.optional)
        except Finding as finding:
            if case.kwargs.get("use_vae") and case.part != "latent" and not self.deaths:
                pytest.skip(f"with use_vae: {finding.reason}")
            raise
        self._check_optional("ddpm", "DDPM", case, built)
        return key

    def fm(self, case: Case) -> str:
        """The key of a case's FM; without the module, the part was not attempted.

        Skips the test if DDPM cannot be built with this autoencoder either, which the part latent
        judges, and if FM does not know the case's optional arguments.
        """
        try:
            key, built = self.build("fm", "FM", case.kwargs, case.optional)
        except Finding as finding:
            if finding.not_attempted or self.deaths or not case.kwargs.get("use_vae"):
                raise
            try:
                self.build("ddpm", "DDPM", case.kwargs)
            except Finding:
                pytest.skip(f"with use_vae: {finding.reason}")
            raise
        self._check_optional("fm", "FM", case, built)
        return key

    def _check_optional(self, module: str, name: str, case: Case, built: list[str]) -> None:
        """Skip the test if a class was built without any of the sets of optional arguments."""
        if not case.optional or any(given.keys() == set(built) for given, _ in case.optional):
            return
        text = self.libs and self.libs / f"{module}.py"
        for given, beside in case.optional if text else ():
            if all(constructor_names(text, name, argument) for argument in (*given, *beside)):
                raise Finding(
                    f"{name} takes {', '.join(given)}, but the process said that it does not.",
                    "forged",
                )
        sets = " or ".join(", ".join(given) for given, _ in case.optional)
        pytest.skip(f"this {name} does not know {sets}")

    def edm(self, case: Case) -> str:
        """The key of a case's EDM; without the module, the part was not attempted."""
        kwargs = {name: v for name, v in case.kwargs.items() if name != "timesteps"}
        sigma_data = float(case.inputs["sigma_data"])
        return self.build("edm", "EDM", {**kwargs, "sigma_data": sigma_data})[0]

    def call(
        self,
        key: str,
        method: str,
        *args: Any,
        doubles: Mapping[str, Handler] | None = None,
        gradients: bool = False,
        training: bool = True,
        time_at: int | None = None,
        away: bool = False,
        inside: Mapping[str, Handler] | None = None,
        weights: Mapping[str, np.ndarray] | None = None,
    ) -> Answer:
        """Call a method; each double's handler answers with an array, or with a sentence to refuse.

        Args:
            gradients: also compute which gradients reach the doubles, if in training mode.
            training: the mode of the object and of the doubles, training or evaluation. Torch
                records gradients only in training.
            time_at: position of the time steps, which are left out if the method, as in some
                editions, draws them itself; `Answer.draws` says whether.
            away: put all arguments on a second device, see worker/devices.py.
            inside: doubles that replace functions that the method calls.
            weights: values of the object's parameters during the call, by name; gradients then
                include those that reach these parameters.
        """
        inside, weights = inside or {}, weights or {}
        request = {"key": key, "method": method, "args": list(args), "time": time_at}
        doubles, gradients = doubles or {}, gradients and training
        request |= {"doubles": list(doubles), "gradients": gradients, "training": training}
        request |= {"away": away, "inside": list(inside), "weights": dict(weights)}

        def read(answer: dict[str, Any], calls: Calls) -> Answer:
            modes = read_names(
                answer.get("mode_changed"), ["self", *doubles, *inside], "whose mode was changed"
            )
            if training:  # a frozen autoencoder may be put into evaluation mode for good
                modes = [name for name in modes if not name.startswith("vae.")]
            names = {*doubles, *inside, *weights}
            found = read_gradients(answer, names) if gradients else None
            value, draws = read_value(answer.get("value")), answer.get("draws") is True
            return Answer(value, read_changed(answer), modes, found, draws, calls.asked)

        return self._ask("call", request, CALL_SECONDS, {**doubles, **inside}, read)

    def forward(self, key: str, inputs: list[np.ndarray], training: bool) -> Answer:
        """Run a whole network on inputs of these shapes, once for all who ask."""
        asked = key, training, *(value.shape for value in inputs)
        if asked not in self.runs:
            try:
                self.runs[asked] = self.call(key, "forward", *inputs, training=training)
            except Finding as finding:
                self.runs[asked] = finding
        found = self.runs[asked]
        if isinstance(found, Finding):
            raise found
        return found

    def run_before(self, key: str, inputs: list[np.ndarray], training: bool) -> None:
        """Run a whole network before `network`, so that the worker knows the shapes of all outputs.

        Other tests report what goes wrong here, unless it ends the process.
        """
        try:
            self.forward(key, inputs, training)
        except Finding:
            if self.worker is None:
                raise

    def function(
        self,
        module: str,
        name: str,
        *args: Any,
        doubles: Mapping[str, Handler] | None = None,
        inside: dict[str, Handler] | None = None,
        keeps: Sequence[str] = (),
        away: bool = False,
        **kwargs: Any,
    ) -> Answer:
        """Call the function libs.MODULE.NAME; doubles are passed as arguments of their names.

        Without the module, the part was not attempted: bonus parts may be left out.

        Args:
            inside: doubles that are not arguments, but replace functions that it calls.
            keeps: doubles whose arguments must not change after the call.
            away: put all tensors on a second device, see worker/devices.py.
        """
        doubles, inside = doubles or {}, inside or {}
        request: dict[str, Any] = {"module": module, "name": name, "args": list(args)}
        request["kwargs"] = kwargs
        request |= {"doubles": list(doubles), "inside": list(inside)}
        request |= {"keeps": list(keeps), "away": away}

        def read(answer: dict[str, Any], calls: Calls) -> Answer:
            value = read_value(answer.get("value"))
            return Answer(value, read_changed(answer), asked=calls.asked)

        try:
            return self._ask("function", request, IMPORT_SECONDS, {**doubles, **inside}, read)
        except Finding as finding:
            check_attempted(finding, module)
            raise

    def each(self, module: str, name: str, items: list[Any], **kwargs: Any) -> list[Any | Finding]:
        """Call libs.MODULE.NAME once for each item; returns each value, or a Finding for an error.

        Without the module, the part was not attempted.
        """
        request = {"module": module, "name": name, "items": items, "kwargs": kwargs}

        def read(answer: dict[str, Any], calls: Calls) -> list[Any]:
            values = read_list(answer.get("values"), len(items))
            errors = answer.get("errors")
            if not isinstance(errors, list) or len(errors) != len(items):
                raise BadMessage("an answer that does not say where there were errors")
            pairs = zip(values, errors, strict=True)
            return [value if error is None else error_finding(error) for value, error in pairs]

        try:
            return self._ask("each", request, IMPORT_SECONDS, {}, read)
        except Finding as finding:
            check_attempted(finding, module)
            raise

    def network(
        self,
        key: str,
        *args: Any,
        handler: Callable[[Asked], np.ndarray],
        seed: int,
        training: bool = True,
    ) -> tuple[Answer, dict[str, Any]]:
        """Run a UNet made of doubles, all answered by the handler; also returns its structure.

        Args:
            seed: of the numbers that the handler draws, call by call. The worker draws the same
                ones itself. It gains nothing by knowing them: only the right calls show that each
                number went where it should.
        """
        request = {"key": key, "args": list(args), "training": training}
        request |= {"seed": seed, "most": MAX_MEMBER_CALLS}

        def read(answer: dict[str, Any], calls: Calls) -> tuple[Answer, dict[str, Any]]:
            names = {asked.name for asked in calls.asked}
            gradients = read_gradients(answer, names) if training else None
            value = read_value(answer.get("value"))
            return Answer(value, gradients=gradients, asked=calls.asked), calls.structure or {}

        return self._ask("network", request, CALL_SECONDS, handler, read)

    def words(self, method: str) -> str:
        """What the submission calls a method of the contract."""
        return self.chain_name if method == CHAIN[0] else method

    def stop(self) -> None:
        """End the worker."""
        if self.worker is not None:
            self.worker.kill()
            self.worker.channel.close()
        self.worker = None
        self.built = {}

    def _build_without_unet(self, request: dict[str, Any]) -> list[str]:
        """Build with a stand-in for libs/unet.py; if that fails too, unet.py was not to blame."""
        before = self.deaths, self.last_death
        self.stop()
        self.deaths = 0
        self.state.stand_in = True
        try:
            return self._build(request)
        except Finding:
            self.state.stand_in = False
            self.stop()
            self.deaths, self.last_death = max(self.deaths, before[0]), before[1]
            raise

    def _build(self, request: dict[str, Any]) -> list[str]:
        stand_in = self.state.stand_in and request["module"] in USE_UNET
        request = {**request, "stand_in": stand_in}

        def read(answer: dict[str, Any], calls: Calls) -> list[str]:
            known = {name for given, _ in request["optional"] for name in given}
            return read_names(answer.get("optional"), known, "what it was built with")

        return self._ask("build", request, IMPORT_SECONDS, {}, read)

    def _ask(
        self,
        operation: str,
        request: dict[str, Any],
        seconds: float,
        doubles: Any,
        read: Callable[[dict[str, Any], Calls], Any],
    ) -> Any:
        """Send a request, answer the doubles' calls meanwhile, and return what `read` makes of it.

        Args:
            read: makes a record from the answer and the doubles' calls; raises BadMessage.
        """
        self._check_worth_asking()
        is_new = self.worker is None
        if is_new:
            self.worker, self.fresh = self.start_worker(), True
        self.fresh &= operation == "build"
        channel: Channel = self.worker.channel
        seconds = max(LEAST_SECONDS, seconds / 2**self.state.hangs)
        seconds = min(seconds, self.state.part_left)
        start, before = time.monotonic(), channel.received
        deadline = start + seconds
        calls, what = Calls(doubles), self.words(called(operation, request))
        if calls.ahead:
            request = {**request, "ahead": calls.ahead}
        result = None
        try:
            if is_new and self.state.gpu:
                channel.send({"op": "gpu"}, deadline)
                channel.receive(deadline)
            channel.send({"op": operation, **request}, deadline)
            answer = wait_for_answer(channel, calls, deadline)
            finding = error_finding(answer["error"]) if "error" in answer else None
            if finding is None:
                result = read(answer, calls)
        except (Closed, Slow, BadMessage) as trouble:
            raise self._end_of(trouble, seconds, what) from None
        finally:
            self.state.spend(what, time.monotonic() - start)
            self.state.received += channel.received - before
        if finding is not None:
            finding.structure, finding.asked = calls.structure or {}, calls.asked
            raise finding
        return result

    def _check_worth_asking(self) -> None:
        """Raise a Finding if too much went wrong before, or no time is left."""
        if self.deaths >= MAX_DEATHS:
            raise Finding(f"Not run, since earlier tests ended like this: {self.last_death}")
        self.state.check_time()
        if self.state.forged >= MAX_FORGED:
            raise Finding(f"Not run, since too many tests ended like this: {FORGED}.", "forged")

    def _end_of(self, trouble: Exception, seconds: float, what: str) -> Finding:
        """End a worker that gave no answer; returns a Finding about what happened.

        Args:
            seconds: how long it had for the call.
            what: the call, in words.
        """
        self.deaths += 1
        if isinstance(trouble, Slow):
            how = f"The call did not come back within {seconds:.0f} seconds: {what}."
            finding = Finding(how, "too_slow")
            self.deaths = MAX_DEATHS  # the next call would hang as well
            self.state.hangs += 1
        elif isinstance(trouble, BadMessage):
            finding = Finding(f"{FORGED}: {trouble}.", "forged")
            self.state.forged += 1
        else:
            how = self.worker.end(2.0)
            finding = Finding(f"The process ended during the call: {how}.", "process_ended")
        self.last_death = finding.reason
        self.stop()
        return finding


def wait_for_answer(channel: Channel, calls: Calls, deadline: float) -> dict[str, Any]:
    """The worker's answer to a request; answers the doubles' calls meanwhile.

    Raises:
        Closed, Slow, BadMessage
    """
    while True:
        message = channel.receive(deadline)
        calls.take_earlier(message.get("earlier", []))
        if "answer" in message:
            break
        if time.monotonic() > deadline:
            raise Slow
        if "double" in message:
            channel.send(calls.reply(message), deadline)
        elif "structure" in message:
            calls.take_structure(message["structure"])
        else:
            raise BadMessage("a message of no known kind")
    answer = message["answer"]
    if not isinstance(answer, dict):
        raise BadMessage("an answer without content")
    return answer


def called(operation: str, request: dict[str, Any]) -> str:
    """A request in words."""
    if operation == "build":
        module = request["module"].replace(".", "/")
        return f"importing libs/{module}.py and building {request['name']}"
    return request.get("method") or request.get("name") or "the network"
