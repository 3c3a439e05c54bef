"""The judge believes nothing that it did not ask for: forged messages of every kind.

Student code can send anything over the pipe. Here made-up workers do, without a process: some lie
from the first message on, others are the reference with one value of one message exchanged. No test
of the autograder may pass on a lie or break down, whatever comes.
"""

import functools
import importlib
import inspect
import random
import re
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from autograder.checks import unet_wiring as wiring
from autograder.checks.doubles import MAX_KEPT, Ahead, Calls
from autograder.checks.evidence import off
from autograder.checks.findings import Finding
from autograder.checks.messages import read_asked, read_value
from autograder.checks.student import MAX_DEATHS, RunState, Student
from autograder.checks.unet_wiring import Wiring, needed_levels
from autograder.examine import LocalWorker
from autograder.hidden.oracles import make_cases
from autograder.reading.program import constructor_names
from autograder.sandbox.wire import BadMessage, Closed, Packer, Unpacker, bytes_of

from helpers.files import ROOT

TESTS = ROOT / "autograder" / "tests"
SEED = 5
RANDOM = np.random.default_rng(SEED)
NAN, INF = float("nan"), float("inf")
CHEAP = ("odd", "odd_latent", "walk_of_one_step", "names_one_block", "guided")
Message = dict[str, Any]
Script = Callable[[Message], Iterator[Message]]


def tensor(array: np.ndarray, **changed: Any) -> Message:
    """A tensor as a worker describes it."""
    described = {"tensor": array.dtype.name, "device": "cpu", "shape": list(array.shape)}
    return {**described, "array": array, **changed}


def full(shape: Any, value: float, dtype: str = "float32") -> Message:
    with np.errstate(over="ignore"):
        return tensor(np.full(shape, value).astype(dtype))


ODD: dict[str, Any] = {  # what no test asks for
    "nothing": None,
    "true": True,
    "nan": NAN,
    "infinity": -INF,
    "negative": -7,
    "huge": 10**300,
    "largest": 1.7e308,
    "text": "text",
    "long text": "x" * 20_000,
    "long number": "9" * 9000,
    "superscript": "encoder.²",
    "no list": [],
    "deep list": [[[[[[[[[]]]]]]]]],
    "long list": list(range(500)),
    "no mapping": {},
    "mapping": {"type": ["a"], "text": {"a": 1}, "file": [1], "line": NAN},
    "numbers of one": full([1], 3.0),
    "a single number": full([], 0.5),
    "a single nan": full([], NAN),
    "an infinite number": full([], INF),
    "empty": full([0], 0),
    "empty rows": full([2, 0, 20, 12], 0),
    "rows": full([7, 2], 1.0),
    "six axes": full([1, 1, 1, 1, 1, 1], 1.0),
    "complex": full([2, 2], 1j, "complex64"),
    "whole": full([4], 2**40, "int64"),
    "bool": full([3], 1, "bool"),
    "no array": {"tensor": "float32", "device": "meta", "shape": [10**9], "array": None},
    "no shape": {"tensor": "float32", "device": "meta", "shape": [-1]},
    "another dtype": full([2], 1.0) | {"tensor": "int64"},
    "no dtype": {"tensor": 3},
    "a bare array": np.zeros(3),
}
# The same shape and dtype as what they replace, but no numbers that are right.
FILLS = {"zeros": 0.0, "ones": 1.0, "nans": NAN, "infinities": INF, "largest": 3e38, "least": 1e-38}


# Made-up workers


def over_the_wire(message: Message) -> Message:
    """A message as it arrives, or BadMessage."""
    header, sent = Packer().pack(message)
    message, arrays = Unpacker().unpack(header)
    for array, content in zip([a for a in arrays if a.size], sent, strict=True):
        bytes_of(array)[:] = content
    return message


class Liar:
    """A worker without a process: a script makes up its messages.

    Args:
        script: gets a request and yields messages; to one with "double" it gets the judge's reply.
    """

    def __init__(self, script: Script) -> None:
        self.script, self.channel, self.reply = script, self, None
        self.sent = self.received = 0

    def send(self, message: Message, deadline: float | None = None) -> None:
        if "op" in message:
            self.conversation, self.reply = self.script(message), None
        else:
            self.reply = message

    def receive(self, deadline: float | None = None) -> Message:
        self.sent += 1
        try:
            message = self.conversation.send(self.reply)
        except StopIteration:
            raise Closed from None
        self.reply = None
        return over_the_wire(message)

    def close(self) -> None: ...

    def kill(self) -> None: ...

    def end(self, timeout: float) -> str:
        return "exited with code 0"


def asks(name: str, *args: Any, **more: Any) -> Message:
    """A double's call."""
    return {"double": name, "args": list(args), "kwargs": {}, "shape": None, **more}


def says(request: Message, value: Any, gradient: Any = NAN) -> Message:
    """A well-formed answer, with this value."""
    op, doubles = request["op"], [*request.get("doubles", []), *request.get("inside", [])]
    names = doubles or [f"{part}.{i}.{j}" for part in ("encoder", "decoder") for i in range(3)
                        for j in range(3)]  # fmt: skip
    sets = request.get("optional") or [({}, [])]
    answer = {
        "build": {"optional": sorted(sets[0][0])},
        "each": {"values": [value] * len(request.get("items", [])),
                 "errors": [None] * len(request.get("items", []))},
    }.get(op)  # fmt: skip
    more = {"changed": [], "mode_changed": [], "gradients": dict.fromkeys(names, gradient)}
    return {"answer": answer or {"value": value, **more}, "earlier": []}


def given(request: Message) -> list[np.ndarray]:
    """The arrays among a request's arguments."""
    values = [*request.get("args", []), *request.get("kwargs", {}).values()]
    return [value for value in values if isinstance(value, np.ndarray)]


def answers_with(make: Callable[[Message], Any], gradient: Any = NAN) -> Script:
    """Answers each request at once, with what is made of it."""

    def script(request: Message) -> Iterator[Message]:
        yield says(request, make(request), gradient)

    return script


def asks_first(make: Callable[[Message], Any], gradient: Any = NAN) -> Script:
    """Calls each double with what is made of the request, and answers with what the last said."""

    def script(request: Message) -> Iterator[Message]:
        value = make(request)
        if request["op"] == "network":
            yield {"structure": {"encoder": [], "decoder": []}}
            yield asks("mid_res_block2", value, shape=[2, 3, 8, 8])
            reply = yield asks("final_conv", value, shape=[2, 3, 8, 8])
            value = tensor(reply["value"]) if "value" in reply else value
        for name in [*request.get("doubles", []), *request.get("inside", [])]:
            reply = yield asks(name, *([value] * 4))
            value = tensor(reply["value"]) if "value" in reply else value
        yield says(request, value, gradient)

    return script


def like_first(fill: float) -> Callable[[Message], Any]:
    """Numbers in the shape of the first argument."""
    return lambda request: full(given(request)[0].shape, fill) if given(request) else fill


LIARS: dict[str, Script] = {
    **{f"answers {name}": answers_with(lambda _, v=value: v) for name, value in ODD.items()},
    **{f"asks with {name}": asks_first(lambda _, v=value: v) for name, value in ODD.items()},
    **{f"answers {name}": answers_with(like_first(fill)) for name, fill in FILLS.items()},
    **{f"asks with {name}": asks_first(like_first(fill), 1.0) for name, fill in FILLS.items()},
    "gives back what it got": answers_with(
        lambda request: tensor(given(request)[0]) if given(request) else None, INF
    ),
    "asks with what it got": asks_first(
        lambda request: tensor(given(request)[0]) if given(request) else None, 10**30
    ),
}


# The autograder's own tests, one case of each


@functools.cache
def judged() -> dict[str, Callable[[Student], None]]:
    """Each test of the autograder on one configuration, by its name."""
    names = sorted(path.stem for path in TESTS.glob("test_*.py"))
    modules = [importlib.import_module(f"autograder.tests.{name}") for name in names]
    found = {}
    for module in modules:
        for name, test in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("test_") and test.__module__ == module.__name__:
                marks = {mark.name: mark.args for mark in getattr(test, "pytestmark", [])}
                arguments = dict(arguments_of(module.PART, test, marks))
                found[f"{module.PART}.{name}"] = functools.partial(test, **arguments)
    return found


def arguments_of(part: str, test: Any, marks: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What pytest would give a test beside the student; of several, what is soon done."""
    if "parametrize" in marks:
        name, values = marks["parametrize"]
        yield name, list(values)[-1]
    if "random" in inspect.signature(test).parameters:
        yield "random", np.random.default_rng(SEED)
    if "case" in inspect.signature(test).parameters:
        cases = [case for case in make_cases(SEED) if case.part == part]
        cases = [case for case in cases if case.config in marks.get("configs", (case.config,))]
        yield "case", min(cases, key=lambda case: case.config not in CHEAP)


def outcome(test: Callable[[Student], None], worker: Any) -> Finding | str:
    """What a test says: "passed", "skipped" or a Finding. Any other exception is an error here."""
    student = Student(lambda: worker, RunState())
    try:
        test(student)
    except Finding as finding:
        return finding
    except pytest.skip.Exception:
        return "skipped"
    finally:
        student.stop()
    return "passed"


@pytest.mark.parametrize("name", judged())
def test_no_lie_passes(name):
    """Answers of the wrong kind, of the wrong numbers, NaN for gradients: each is a Finding."""
    for liar, script in LIARS.items():
        if liar in MAY_PASS.get(name, ()):
            continue
        said = outcome(judged()[name], Liar(script))
        assert isinstance(said, Finding), (liar, said)
        assert len(said.reason) < 1000, (liar, said.reason)


# What is asked there is only that a call comes back with numbers of the right shape,
RUNS = ("zeros", "ones", "least", "largest")
MAY_PASS = {
    name: [f"{how} {fill}" for how in ("answers", "asks with") for fill in RUNS]
    + ["gives back what it got", "asks with what it got"]
    for name in ("unet.test_runs", "bonus_scaling.test_forward_runs")
}
# and that equal Gaussians have the distance 0.
MAY_PASS["bonus_evaluation.test_equal_gaussians"] = []
# A new block changes nothing, and a new transformer says zero: these are the right answers.
MAY_PASS["dit.test_block_starts_as_identity"] = [
    "gives back what it got",
    "asks with what it got",
]
MAY_PASS["dit.test_starts_as_zero"] = ["answers zeros"]


# The reference, with one value of one message exchanged


class Forger(LocalWorker):
    """The reference's worker; what it sends is changed on the way."""

    def __init__(self, forge: Callable[[Message], Message]) -> None:
        super().__init__(ROOT / "code")
        self.inner, self.forge, self.channel, self.received = self.channel, forge, self, 0

    def send(self, message: Message, deadline: float | None = None) -> None:
        self.inner.send(message, deadline)

    def receive(self, deadline: float | None = None) -> Message:
        return over_the_wire(self.forge(self.inner.receive(deadline)))

    def close(self) -> None:
        self.inner.close()

    def kill(self) -> None:
        self.inner.close()
        self.thread.join(5)


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The paths of all that a message holds."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value[:4]):
            yield from places(item, (*path, i))


def exchanged(message: Any, path: tuple, value: Any) -> Any:
    """A copy of a message with another value at a path."""
    if not path:
        return value
    key, *rest = path
    copy = dict(message) if isinstance(message, dict) else list(message)
    copy[key] = exchanged(copy[key], tuple(rest), value)
    return copy


def forged(draw: random.Random, log: list[Any]) -> Callable[[Message], Message]:
    """Exchanges one value of a message, at random, in about one of four messages."""

    def forge(message: Message) -> Message:
        if draw.random() > 0.25:
            return message
        path = draw.choice(list(places(message))[1:])
        name = draw.choice(list(ODD))
        log.append((path, name))
        return exchanged(message, path, ODD[name])

    return forge


def fuzz(seeds: range) -> None:
    for seed in seeds:
        draw, log = random.Random(seed), []
        name = draw.choice(list(judged()))
        try:
            said = outcome(judged()[name], Forger(forged(draw, log)))
        except Exception as error:
            raise AssertionError(f"{name} broke down, seed {seed}: {log[-3:]}") from error
        assert said in ("passed", "skipped") or isinstance(said, Finding)


def test_no_forged_value_breaks_the_judge():
    """A value exchanged in the reference's messages ends as a Finding, or does not matter."""
    fuzz(range(10))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_no_forged_value_breaks_the_judge_in_the_long_run(block):
    """Many more random forged values than in the everyday test break nothing either."""
    fuzz(range(100 + 200 * block, 300 + 200 * block))


# What the judge keeps, and how much it does for a call


def chatter(calls: int, ask: Callable[[int, list[np.ndarray]], Message]) -> Script:
    """Calls a double so many times; a call is made of its number and the answers so far."""

    def script(request: Message) -> Iterator[Message]:
        if request["op"] == "build":
            yield says(request, None)
            return
        if request["op"] == "network":
            yield {"structure": needed_levels([1, 1], [1])}
        heard: list[np.ndarray] = []
        for number in range(calls):
            reply = yield ask(number, heard)
            heard += [reply["value"]] if "value" in reply else []
        yield says(request, None)

    return script


def insist(calls: Calls, message: Message, earlier: list[Message] | None = None) -> None:
    """Call a double without end."""
    for _ in range(10_000):
        calls.reply(message)
        calls.take_earlier(earlier or [])


def test_what_a_call_keeps_is_counted():
    """Answers given ahead keep no others alive, and all that is kept is below the limit."""
    calls = Calls({"p_sample": lambda asked: Ahead(block[0], block[1:])})
    block = np.zeros((100, 2, 30, 30), np.float32)
    x = {**asks("p_sample", tensor(block[0])), "earlier": []}
    with pytest.raises(BadMessage, match="far too many numbers"):
        insist(calls, x, [x] * 99)
    kept = [asked.answered for asked in calls.asked]
    x_size = calls.asked[-1].size()  # the last one's answer is counted when it is given
    assert all(array.base is None for array in kept)
    assert sum(array.nbytes for array in kept) <= calls.kept < MAX_KEPT + x_size


@pytest.mark.parametrize("odd", [[], {}], ids=repr)
def test_small_things_count_too(odd):
    """Calls full of numbers, texts and lists count as what Python makes of them."""
    calls = Calls({"model": lambda asked: np.zeros(1, np.float32)})
    with pytest.raises(BadMessage, match="far too many numbers"):
        insist(calls, over_the_wire(asks("model", [odd] * 60)))
    assert len(calls.asked) < 5000
    for many in ([odd] * 6000, [[odd] * 70], [[[odd] * 9] * 9]):
        with pytest.raises(BadMessage, match="far too many arguments"):
            calls.reply(over_the_wire(asks("model", *many)))


def test_answers_that_are_left_come_to_an_end():
    """Who never takes what was answered ahead would have the judge draw numbers without end."""
    calls = Calls({"p_sample": lambda asked: Ahead(block[0], block[1:])})
    block = np.zeros((100, 2, 30, 30), np.float32)
    with pytest.raises(BadMessage, match="far too many numbers"):
        insist(calls, asks("p_sample", tensor(block[0])))
    assert len(calls.asked) < 100


def test_calls_come_to_an_end():
    """Who goes on after the last call that is answered is not an honest worker."""
    for doubles, name in (
        ({"model": lambda asked: np.zeros(1)}, "model"),
        (Wiring({}, RANDOM, 2).answer, "a"),
    ):
        calls = Calls(doubles)
        calls.structure = {}
        with pytest.raises(BadMessage, match="too many calls of doubles"):
            insist(calls, asks(name))
        assert len(calls.asked) <= 5000


def walls(count: int) -> Wiring:
    """A network's doubles after so many calls, all of them of the same shape."""
    seen = Wiring(needed_levels([1, 1], [1]), RANDOM, 2)
    for i in range(count):
        seen.answer(read_asked(asks(f"encoder.{i}.0", shape=[2, 1, 2, 2])))
    return seen


@pytest.mark.parametrize("kind", ["joined", "summed", "unknown", "repeated"])
def test_a_wrong_tensor_is_explained_in_time_linear_in_the_calls(monkeypatch, kind):
    """Twice the calls take twice the comparisons, however the tensor was made of the outputs."""

    def compared(count: int) -> int:
        seen = walls(count)
        outputs = [value for _, value in seen.calls]
        made = {
            "joined": np.concatenate(outputs, axis=1),
            "summed": outputs[-1] + outputs[-2],
            "unknown": np.zeros((2, 1, 2, 2), np.float32),
            "repeated": np.concatenate(outputs[:1] * count, axis=1),
        }[kind]
        number = 0

        def counted(compare: Callable) -> Callable:
            def wrapped(*args: Any, **kwargs: Any) -> Any:
                nonlocal number
                number += 1
                return compare(*args, **kwargs)

            return wrapped

        with monkeypatch.context() as patch:
            for owner, name in ((np, "array_equal"), (wiring, "close"), (wiring, "off")):
                patch.setattr(owner, name, counted(getattr(owner, name)))
            value = read_value(tensor(made))
            text = seen.explain(value) + seen.input_hint(value, outputs[:2])
            assert len(text) < 2000
        return number

    assert compared(480) <= 2 * compared(240) + 10 <= 5000


def test_sums_and_concatenations_are_named():
    """A tensor that was added or joined from others is described by its origins."""
    seen = walls(30)
    a, b = seen.calls[3][1], seen.calls[7][1]
    for made, text in (
        (np.concatenate([a, b, a], axis=1), "cat([the output of encoder.3.0, the output of "
         "encoder.7.0, the output of encoder.3.0])"),
        (a + b, "the sum of the output of encoder.3.0 and the output of encoder.7.0"),
        (b, "the output of encoder.7.0"),
        (a - b, "something of shape [2, 1, 2, 2] that no member returned"),
    ):  # fmt: skip
        assert seen.explain(read_value(tensor(made))) == text


HUGE_CALLS = {
    "wide outputs": ("unet.test_wiring", lambda i, heard: asks("conv_in", shape=[1, 8, 250, 250])),
    "wide steps": (
        "p_sample_loop.test_chain",
        lambda i, heard: asks("p_sample", full([2, 2, 20, 12] if not i else [4000, 2000], i)),
    ),
    "many steps": (
        "p_sample_loop.test_chain",
        lambda i, heard: asks("p_sample", tensor(RANDOM.normal(size=(2, 2, 20, 12)).astype("f4"))),
    ),
    "no rows": ("latent.test_decode", lambda i, heard: asks("vae.decoder", ODD["no array"])),
}


@pytest.mark.parametrize("kind", HUGE_CALLS)
def test_no_calls_fill_the_memory(kind):
    """Whatever is asked of doubles, the judge holds less than 200 MB."""
    name, ask = HUGE_CALLS[kind]
    tracemalloc.start()
    said = outcome(judged()[name], Liar(chatter(500, ask)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(said, Finding), said
    assert peak < 200e6


# Claims that the judge can check


def test_the_structure_is_that_of_the_arguments():
    """Levels and members that the arguments ask for are there, whatever the worker says."""
    needed = needed_levels([1, 2, 4], [0, 2])
    assert needed["encoder"] == [[True, True, True], [True, False, True], [True, True, False]]
    assert needed["decoder"] == [[True, True, True], [True, False, True], [True, True, False]]
    wiring.levels(needed, needed, "decoder")
    more = {"decoder": [[True, True, True]] * 3}  # an nn.Identity in a place that may be empty
    wiring.levels(more, needed, "decoder")
    lies = [
        [],
        needed["decoder"][:2],
        [[True, True]] * 3,
        [[False] * 3] * 3,
        [[True, False, True]] * 3,
    ]
    for levels in lies:
        with pytest.raises(Finding):
            wiring.levels({"decoder": levels}, needed, "decoder")
    with pytest.raises(Finding):
        wiring.levels({}, needed, "decoder")


@pytest.mark.parametrize(
    ("takes", "expected", "words"),
    [
        (", beta_schedule='linear', beta_start=1e-4, beta_end=0.02", Finding, "the process said"),
        (", beta_schedule='linear'", pytest.skip.Exception, "does not know"),
        ("", pytest.skip.Exception, "does not know"),
    ],
    ids=["all", "some", "none"],
)
def test_options_that_the_source_names_are_known(tmp_path, takes, expected, words):
    """Cases of a schedule are left out only if the constructor's text does not name all of it."""
    (tmp_path / "ddpm.py").write_text(
        f"class DDPM:\n    def __init__(\n        self, timesteps=3{takes}\n    ):\n"
        "        pass  # beta_schedule\n\n\nclass Other:\n    def __init__(self, beta_schedule):\n"
        "        pass\n"
    )
    (case,) = (c for c in make_cases(SEED) if c.part == "q_sample" and c.config == "cosine")

    def script(request: Message) -> Iterator[Message]:
        yield {"answer": {"optional": []}, "earlier": []}

    student = Student(lambda: Liar(script), RunState(), libs=tmp_path)
    with pytest.raises(expected, match=words):
        student.ddpm(case)


def test_a_part_whose_workers_die_costs_no_other_its_points():
    """After three deaths in one part nothing is run for it: the next part builds all the same."""

    def script(request: Message) -> Iterator[Message]:
        yield {"answer": {"optional": []}, "earlier": []}

    state = RunState(stand_in=True)
    student = Student(lambda: Liar(script), state)
    student.deaths, student.last_death = MAX_DEATHS, "It died."
    with pytest.raises(Finding, match="Not run, since earlier tests ended like this: It died"):
        student.build("ddpm", "DDPM", {})
    Student(lambda: Liar(script), state).build("ddpm", "DDPM", {})


def test_nan_is_far_from_everything():
    """NaN and infinity, in an answer or a tolerance, never count as close."""
    numbers = np.array([1.0, NAN, INF, -INF])
    assert off(numbers, np.ones(4), 0.5).tolist() == [False, True, True, True]
    assert off(np.ones(2), np.array([NAN, 1.0]), np.array([1.0, NAN])).tolist() == [True, True]


def test_gradients_that_are_no_numbers_reach_nothing():
    """A decoder whose gradients are said to be NaN or infinite is cut off."""
    for odd in (NAN, "1"):
        forge = functools.partial(with_gradients, odd)
        for name in (
            "unet.test_wiring_again",
            "compute_loss.test_given_noise",
            "bonus_edm.test_loss",
        ):
            said = outcome(judged()[name], Forger(forge))
            assert isinstance(said, Finding), (name, odd)
            assert said.hint in ("unet_detached", "loss_no_gradient", "edm_no_gradient")


def with_gradients(value: Any, message: Message) -> Message:
    """The message with this value for each gradient."""
    gradients = message.get("answer", {}).get("gradients")
    if not gradients:
        return message
    return exchanged(message, ("answer", "gradients"), dict.fromkeys(gradients, value))


def test_no_generator_is_without_a_seed():
    """--seed repeats a grading to the digit, so all that the judge draws follows from it."""
    for file in (ROOT / "autograder").rglob("*.py"):
        assert not re.search(r"default_rng(?!\([^)])", file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("def __init__(self, size=(1, 2), betas=None):\n", True),
        ("def __init__(\n        self,\n        betas: X = None,  # [T]\n    ) -> None:\n", True),
        ("def __init__(self, size=(1, 2)) -> None:  # betas\n        betas = size\n", False),
        ("def __init__(self, betas):\n\n\nclass DDPM(DDPM):\n    def __init__(self, *a):\n", False),
        ("def __init__(self" + "):" * 900_000 + "x\n", False),
    ],
    ids=["in one line", "line by line", "below", "of a class that is replaced", "no end"],
)
def test_a_constructors_arguments_are_those_of_its_text(tmp_path, text, named):
    """Whether a class knows an argument is looked up, since a worker may lie about it."""
    (tmp_path / "ddpm.py").write_text(f"class DDPM:\n    {text}", encoding="utf-8")
    assert constructor_names(tmp_path / "ddpm.py", "DDPM", "betas") == named
