"""Makes five questions about a submission from what was observed in it, with answers."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from autograder.extras.viva.facts import SIDE, Facts, LeftOut, Lines, Setting, Shape
from autograder.text import visible

QUESTIONS = 5
ANSWERS = 4
LONGEST = 12  # most lines quoted
LONGEST_ANSWER = 90  # most characters of a line that is an answer
KINDS = ("shape", "alpha_bar", "left_out", "pictures", "label", "calls")
OUTCOMES = {
    "error": "It ends with an error.",
    "same": "The same result as before.",
    "other": "A result of the same shape, with other numbers.",
    "shape": "A result of another shape.",
    "nothing": "It returns None.",
    "endless": "It never ends.",
}


@dataclass
class Question:
    """A question with one right answer.

    Attributes:
        kind: one of KINDS.
        text: the question, one or two sentences.
        answers: all answers, in the order shown.
        key: the index of the right answer.
        lines, code: the lines quoted from the submission, and their text; None and "" for nothing.
        pictures: one for each answer, uint8 [H, W], or none.
        fact: the observation that the question was made from.
    """

    kind: str
    text: str
    answers: list[str]
    key: int
    lines: Lines | None = None
    code: str = ""
    pictures: list[np.ndarray] = field(default_factory=list)
    fact: object = None

    @property
    def right(self) -> str:
        """The right answer."""
        return self.answers[self.key]


@dataclass
class Sheet:
    """The questions for one submission."""

    submission: str
    team: str
    setting: Setting
    questions: list[Question] = field(default_factory=list)
    trouble: str = ""  # why there are fewer than five


def setting_of(seed: int) -> Setting:
    """Draw the setting of a submission's questions."""
    draw = random.Random(seed)
    shape = draw.choice((1, 2, 3, 4)), 2 * draw.randint(4, 9), 2 * draw.randint(4, 9)
    return Setting(seed, draw.randrange(24, 90, 2), shape)


def make_sheet(submission: str, team: str, facts: Facts, code_folder: Path) -> Sheet:
    """Choose five questions, of as many kinds as possible."""
    sheet = Sheet(submission, team, facts.setting, trouble=facts.trouble)
    draw = random.Random(facts.setting.seed)
    source = Source(code_folder)
    makers = {
        "shape": lambda: shape_question(facts, source, draw, sheet.questions),
        "alpha_bar": lambda: alpha_bar_question(facts, draw),
        "left_out": lambda: left_out_question(facts, source, draw, sheet.questions),
        "pictures": lambda: pictures_question(facts, draw),
        "label": lambda: label_question(facts, source, draw),
        "calls": lambda: calls_question(facts, draw),
    }
    order = [*KINDS[:5], "left_out", "shape", "shape", "calls", "left_out"]
    for kind in order:
        question = makers[kind]() if len(sheet.questions) < QUESTIONS else None
        if question is not None:
            sheet.questions.append(question)
    if len(sheet.questions) < QUESTIONS and not sheet.trouble:
        sheet.trouble = "most of its code does not run"
    return sheet


class Source:
    """The text of a submission's files, as handed in."""

    def __init__(self, code_folder: Path) -> None:
        self.code_folder = code_folder
        self.known: dict[str, list[str]] = {}

    def lines(self, place: Lines) -> list[str]:
        """The lines at a place; [] if the file is shorter."""
        if place.file not in self.known:
            text = (self.code_folder / place.file).read_bytes().decode("utf-8", "replace")
            self.known[place.file] = text.split("\n")
        return self.known[place.file][place.first - 1 : place.last]

    def quoted(self, place: Lines) -> str:
        """The lines with their numbers, without their common indentation."""
        found = [visible(line.rstrip().expandtabs(4)) for line in self.lines(place)][:LONGEST]
        indent = min((len(line) - len(line.lstrip()) for line in found if line.strip()), default=0)
        numbered = enumerate(found, place.first)
        return "\n".join(f"{number:4d}  {line[indent:]}" for number, line in numbered)


def shape_question(
    facts: Facts, source: Source, draw: random.Random, asked: list[Question]
) -> Question | None:
    """The question: which shape does a line's result have?"""
    before = {question.lines for question in asked}
    usable = [one for one in facts.shapes if one.shape and one.lines not in before]
    if not usable:
        return None
    most = max(len(set(one.shape)) for one in usable)
    # shapes with different numbers require more thought
    one = draw.choice([s for s in usable if len(set(s.shape)) >= min(most, 3)])
    others = {s.shape for s in facts.shapes} | set(variations(one.shape, facts.setting.shape))
    wrong = draw.sample(sorted(others - {one.shape}), ANSWERS - 1)
    times = {1: "", 2: " for the second time", 3: " for the third time"}[min(one.time, 3)]
    what = f"the shape of `{one.name}`" if one.name else "the shape of what it returns"
    file = one.lines.file.removeprefix("libs/")
    text = (
        f"{inputs(facts.setting)} What is {what} after {where(one.lines)} of {file} has run{times}?"
    )
    if file == "unet.py":
        text = f"A UNet with dim 8, dim_mults (1, 2) and a transformer at level 0. {text}"
    answers = list(map(listed, wrong))
    return multiple_choice("shape", text, listed(one.shape), answers, draw, source, one)


def listed(shape: tuple[int, ...]) -> str:
    """A shape as text."""
    return str(list(shape))


def variations(shape: tuple[int, ...], image: tuple[int, int, int]) -> list[tuple[int, ...]]:
    """Shapes that are easily confused with this one."""
    found = [shape[1:], shape[::-1], (*shape, 1), (1, *shape[1:]), (shape[0], *image)]
    found += [
        tuple(2 * n if i == at else n for i, n in enumerate(shape)) for at in range(len(shape))
    ]
    return [one for one in found if one]


def alpha_bar_question(facts: Facts, draw: random.Random) -> Question | None:
    """The question: how large is alpha_bar in the middle of the chain?"""
    if facts.alpha_bar is None:
        return None
    bar, beta = facts.alpha_bar
    shown = {f"{value:.3f}": None for value in (bar, bar**0.5, 1 - bar, (1 - bar) ** 0.5, 1 - beta)}
    right, *wrong = shown
    wrong = [value for value in wrong if abs(float(value) - float(right)) > 0.01][: ANSWERS - 1]
    if len(wrong) < ANSWERS - 1:
        return None
    steps = facts.setting.steps
    text = (
        f"Your DDPM with timesteps={steps}: how large is alpha_bar at t = {steps // 2}, the share "
        "of x_0 in the variance of x_t?"
    )
    return multiple_choice("alpha_bar", text, right, wrong, draw, fact=facts.alpha_bar)


def left_out_question(
    facts: Facts, source: Source, draw: random.Random, asked: list[Question]
) -> Question | None:
    """The question: what happens if a statement is left out?"""
    before = {question.lines for question in asked}
    usable = [one for one in facts.left_out if one.lines not in before]
    if not usable:
        return None
    telling = [one for one in usable if one.outcome != "error"] or usable
    one = draw.choice(telling)
    verb = "were" if one.lines.last > one.lines.first else "was"
    text = (
        f"{inputs(facts.setting)} The network is replaced by a small one whose answer depends on "
        f"all its inputs. What would {called(one, facts.setting)} give if {where(one.lines)} of "
        f"{one.lines.file.removeprefix('libs/')} {verb} left out, with the same random draws?"
    )
    if one.call == "forward":
        text = text.replace("The network is replaced by a small one", "The weights are random")
        text = text.replace(" whose answer depends on all its inputs", "")
    others = [outcome for outcome in OUTCOMES if outcome != one.outcome]
    likely = [outcome for outcome in others if outcome in ("same", "other")]
    rest = [outcome for outcome in others if outcome not in likely]
    wrong = [OUTCOMES[o] for o in likely + draw.sample(rest, ANSWERS - 1 - len(likely))]
    return multiple_choice("left_out", text, OUTCOMES[one.outcome], wrong, draw, source, one)


def called(one: LeftOut, setting: Setting) -> str:
    """A question's call, in words."""
    if one.call.startswith("p_sample:"):
        return f"p_sample with t_index = {one.call.split(':')[1]}"
    given = {
        "q_sample": "q_sample with given noise",
        "compute_loss": "compute_loss with given noise",
    }
    given["forward"] = "the UNet's forward"
    return given.get(one.call, f"{one.call}, with T = {setting.steps},")


def pictures_question(facts: Facts, draw: random.Random) -> Question | None:
    """The question: which picture was drawn with steps left out?"""
    if facts.pictures is None:
        return None
    order = [0, 1]
    draw.shuffle(order)
    images = [facts.pictures[i] for i in order]
    text = (
        f"Your chain drew both pictures ({SIDE} x {SIDE}, T = 100) with a network that knows the "
        "figure. For one of them p_sample was called only at every fourth t. Which one?"
    )
    answers = ["Picture A", "Picture B"]
    return Question("pictures", text, answers, order.index(1), pictures=images, fact=facts.pictures)


def label_question(facts: Facts, source: Source, draw: random.Random) -> Question | None:
    """The question: which line computes with the label?"""
    reading = [place for place, reads in facts.label if reads]
    if not reading:
        return None
    right = draw.choice(reading)
    others = [p for p, reads in facts.label if not reads and p.file == right.file]
    texts: dict[str, None] = {}
    draw.shuffle(others)
    for place in others:
        texts.setdefault(one_of(source, place))
    shown = one_of(source, right)
    wrong = [text for text in texts if text != shown][: ANSWERS - 1]
    if len(wrong) < ANSWERS - 1:
        return None
    text = (
        f"Which of these lines of your {right.file.removeprefix('libs/')} reads the label itself, "
        "that is, computes with it or passes it to code that does?"
    )
    return multiple_choice("label", text, shown, wrong, draw, fact=right)


def one_of(source: Source, place: Lines) -> str:
    """Lines as an answer: their numbers, and the first of them."""
    text = visible((source.lines(place) or [""])[0].strip())
    more = " ..." if place.last > place.first or len(text) > LONGEST_ANSWER else ""
    return f"{where(place)}: {text[:LONGEST_ANSWER].rstrip()}{more}"


def calls_question(facts: Facts, draw: random.Random) -> Question | None:
    """The question: how often is the network called?"""
    if facts.calls is None:
        return None
    steps = facts.setting.steps
    others = {steps, steps - 1, steps + 1, 2 * steps, 3 * steps, 1} - {facts.calls}
    text = f"How often is your network called to draw one image for each of 3 labels, T = {steps}?"
    wrong = list(map(str, draw.sample(sorted(others), ANSWERS - 1)))
    return multiple_choice("calls", text, str(facts.calls), wrong, draw, fact=facts.calls)


def multiple_choice(
    kind: str,
    text: str,
    right: str,
    wrong: list[str],
    draw: random.Random,
    source: Source | None = None,
    fact: Shape | LeftOut | object = None,
) -> Question:
    """A question with its answers in random order, which quotes the lines of its fact."""
    answers = [right, *wrong]
    draw.shuffle(answers)
    question = Question(kind, text, answers, answers.index(right), fact=fact)
    if source is not None and isinstance(fact, Shape | LeftOut):
        question.lines, question.code = fact.lines, source.quoted(fact.lines)
    return question


def inputs(setting: Setting) -> str:
    """A question's inputs, in one sentence."""
    channels, height, width = setting.shape
    return (
        f"A batch of 3 images of {channels} x {height} x {width} (C x H x W), T = {setting.steps}."
    )


def where(lines: Lines) -> str:
    """Line numbers in words."""
    if lines.first == lines.last:
        return f"line {lines.first}"
    return f"lines {lines.first} to {lines.last}"
