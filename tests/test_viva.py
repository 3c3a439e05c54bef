"""Questions on a submission's own code: the keys are true, and nobody gets another one's."""

import ast
import contextlib
import importlib
import io
import json
import math
import re
import signal
import sys
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from autograder.extras.viva.command import as_text, keys_of, sheet_of
from autograder.extras.viva.facts import SERVE, Facts, read
from autograder.extras.viva.questions import KINDS, Question, Sheet, make_sheet, setting_of
from autograder.extras.viva.quizzes import gift, png, qti
from autograder.extras.viva.worker import Observer
from autograder.output.pages import write_submission
from autograder.output.sheets import write_sheets
from autograder.reading.submission import hash_of_file, open_submission
from autograder.results import Grade
from autograder.rubric import load_rubric
from autograder.sandbox.sandbox import Sandbox
from autograder.worker import machine
from instructor.submissions.overlay import Scenario, scenarios
from PIL import Image

from helpers.files import ROOT
from helpers.quizzes import read_gift, read_qti
from helpers.scripts import assert_refused, call_program, run_script
from helpers.submissions import libs_of

OUTCOMES = {
    "It ends with an error.": "error",
    "The same result as before.": "same",
    "A result of the same shape, with other numbers.": "other",
    "A result of another shape.": "shape",
    "It returns None.": "nothing",
    "It never ends.": "endless",
}
CORE = "q_sample p_sample p_sample_loop compute_loss unet latent several editions".split()


@pytest.fixture(scope="module")
def sheets() -> list[Sheet]:
    """Two sheets on the reference, whose code runs in this process."""
    found = []
    with libs_of(ROOT / "code"):
        for seed in (1, 2):
            setting = setting_of(seed)
            observer = Observer(str(ROOT / "code"), seed, setting.steps, list(setting.shape), 4)
            facts = read(observer.observe(), setting)
            found.append(make_sheet(f"{seed}.zip", f"team {seed}", facts, ROOT / "code"))
    return found


def test_five_questions_with_true_keys(sheets):
    """One of each kind, four answers each (two pictures), and all keys are right."""
    for sheet in sheets:
        assert [question.kind for question in sheet.questions] == list(KINDS[:5])
        check(sheet, ROOT / "code")


def test_sheets_differ(sheets):
    """The same code gets other inputs, other lines and other keys in each sheet."""
    texts = [question.text + question.code for sheet in sheets for question in sheet.questions[:3]]
    assert len(set(texts)) == len(texts)


def test_gift_has_the_same_keys(sheets):
    """Moodle's format, read back by its own rules."""
    questions = [question for sheet in sheets for question in sheet.questions]
    keys = [(asked.key, len(asked.answers)) for asked in read_gift(gift(sheets))]
    assert keys == [(question.key, len(question.answers)) for question in questions]


def test_qti_has_the_same_keys(sheets):
    """Canvas's format: each quiz is named in the manifest and has one right answer a question."""
    for quiz, sheet in zip(read_qti(qti(sheets)), sheets, strict=True):
        found = [(asked.answers, asked.key) for asked in quiz]
        assert found == [(question.answers, question.key) for question in sheet.questions]


def test_texts_and_keys_are_apart(sheets):
    """What is printed for students does not say which answer is right; keys.csv does."""
    text = as_text(sheets)
    assert text.count("\f") == len(sheets) - 1
    letters = [row[2:] for row in keys_of(sheets)[1:]]
    assert letters == [["ABCD"[q.key] for q in sheet.questions] for sheet in sheets]


def test_pictures_are_png():
    """A picture that is written without a package is a PNG with the right pixels."""
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    with Image.open(io.BytesIO(png(picture))) as image:
        assert (np.asarray(image)[::6, ::6] == picture).all()


@pytest.fixture(scope="module")
def pdfs(sheets: list[Sheet]) -> tuple[Any, Any]:
    """The PDFs of two sheets, without keys and with them, as pypdf reads them."""
    return read_pdf(sheets, keys=False), read_pdf(sheets, keys=True)


def test_the_pdf_asks_every_question(sheets, pdfs):
    """Read back, each sheet is on a leaf of its own, with code, answers and pictures."""
    reader = pdfs[0]
    assert [entry.title for entry in reader.outline] == [sheet.team for sheet in sheets]
    starts = [reader.get_destination_page_number(entry) for entry in reader.outline]
    assert all(start % 2 == 0 for start in starts)
    for sheet, start, end in zip(sheets, starts, [*starts[1:], None], strict=True):
        pages = reader.pages[start:end]
        text = squeezed("".join(page.extract_text() for page in pages))
        assert text.count("Notes") == len(sheet.questions)
        for question in sheet.questions:
            for words in (question.text, *question.code.split("\n"), *question.answers):
                assert squeezed(words) in text
        drawn = [np.asarray(image.image.convert("L")) for page in pages for image in page.images]
        shown = [picture for question in sheet.questions for picture in question.pictures]
        assert len(drawn) == len(shown) == 2
        for one, picture in zip(drawn, shown, strict=True):
            assert (one == picture.repeat(6, 0).repeat(6, 1)).all()


def test_the_pdf_of_keys_marks_the_right_answers(sheets, pdfs):
    """Without keys only names are bold; with them so are the right answers, and nothing moves."""
    asked, keys = pdfs
    for page, other in zip(asked.pages, keys.pages, strict=True):
        assert page.extract_text() == other.extract_text()
    assert bold(asked) == squeezed("".join(sheet.team for sheet in sheets))
    right = ""
    for sheet in sheets:
        right += sheet.team + "".join(f"{'ABCD'[q.key]}){q.right}" for q in sheet.questions)
    assert bold(keys) == squeezed(right)


def test_code_in_the_pdf_is_monospaced_numbered_and_wrapped(monkeypatch):
    """Long lines wrap, letters of all scripts stay, and what no font has is spelled out."""
    monkeypatch.setattr(pytest.importorskip("autograder.extras.viva.pdf"), "findSystemFonts", list)
    long = "y = " + " + ".join(f"x{i}" for i in range(100))
    code = f"  98  if 'Łódź Яи': # {{nb}} \N{CJK UNIFIED IDEOGRAPH-9673}\n  99      {long}"
    question = Question("left_out", "What?", ["no", "yes"], 1, code=code)
    sheet = Sheet("a.zip", "Zoë Ωmega \N{CJK UNIFIED IDEOGRAPH-9673}", setting_of(1), [question])
    reader = read_pdf([sheet], keys=False)
    pieces = fonts_of(reader)
    mono = "".join(text for text, font in pieces if "Mono" in font)
    wanted = f"98if'ŁódźЯи':#{{nb}}\\u967399{long}"
    assert squeezed(mono) == squeezed(wanted)
    rows = [row for row in reader.pages[0].extract_text().split("\n") if "x" in row]
    assert len(rows) > 4
    assert max(map(len, rows)) < 110
    assert squeezed(reader.pages[0].extract_text()).startswith("ZoëΩmega\\u9673")


def test_the_pdf_finds_a_font_for_other_letters(monkeypatch, tmp_path):
    """Letters that DejaVu lacks come from a font of the computer; files that are none are left."""
    pdf = pytest.importorskip("autograder.extras.viva.pdf")
    from fontTools.ttLib import TTFont

    letter = "\N{CJK UNIFIED IDEOGRAPH-9673}"
    with TTFont(Path(pdf.matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf") as font:
        for table in font["cmap"].tables:
            if table.isUnicode():
                table.cmap[ord(letter)] = table.cmap[ord("A")]
        font.save(tmp_path / "other.ttf")
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    found = [str(path) for path in tmp_path.iterdir()]
    monkeypatch.setattr(pdf, "findSystemFonts", lambda: found)
    reader = read_pdf([Sheet("a.zip", f"team {letter}", setting_of(1))], keys=False)
    assert reader.pages[0].extract_text().startswith(f"team {letter}")


def test_without_fpdf2_one_sentence_says_what_to_do(tmp_path, monkeypatch):
    """It comes first, before results are looked for."""
    monkeypatch.setitem(sys.modules, "fpdf", None)
    done = call_program("autograder/grade.py", "viva", tmp_path, "--pdf")
    assert_refused(done, "--pdf needs fpdf2", "requirements/grade.txt")


@pytest.mark.parametrize(
    "said",
    [
        {"shapes": [["../../x", 1, 1, "x", 1, [3]]]},
        {"shapes": [["libs/ddpm.py", 1, 1, "<b>", 1, [3]]]},
        {"alpha_bar": [math.nan, 0.1]},
        {"calls": True},
        {"left_out": [["libs/ddpm.py", 1, 1, "q_sample", "fine", ""]]},
        {"label": [["libs/ddpm.py", 2, 1, True]]},
        {"pictures": {"whole": 1, "skipped": 2, "errors": [0, 1]}},
    ],
)
def test_a_worker_that_sends_something_else_is_refused(said):
    """An answer of a worker that is not what was asked for is refused."""
    with pytest.raises((ValueError, TypeError, KeyError)):
        read(said, setting_of(1))


def test_what_does_not_run_is_said(tmp_path):
    """A submission of which nothing runs gets a sheet that says so, and no invented question."""
    (tmp_path / "libs").mkdir()
    sheet = make_sheet("x.zip", "x", Facts(setting_of(1)), tmp_path)
    assert not sheet.questions
    assert "does not run" in as_text([sheet]) or "not run" in sheet.trouble


def test_a_call_is_made_once_for_all_lines_left_out_of_it(monkeypatch):
    """To leave out eight lines takes eight calls, and each of the calls once as it is."""
    with libs_of(ROOT / "code"):
        observer = Observer(str(ROOT / "code"), 1, 8, [1, 4, 4], 8)
        counted = observer.counted
        limits: list[float] = []

        def watched(call: Any, most: float) -> tuple[Any, int]:
            limits.append(most)
            return counted(call, most)

        monkeypatch.setattr(observer, "counted", watched)
        calls = {call for *_, call, _, _ in observer.left_out()}
    assert limits.count(math.inf) == len(calls) < len(limits) - len(calls) <= 8


def test_a_line_without_which_a_loop_never_ends(tmp_path):
    """The line that counts down is left out: the answer is that, and the others still follow."""
    (scenario,) = (s for s in scenarios("right") if s.name == "right_loop_while")
    path = scenario.zip_to(tmp_path / "loop.zip")
    code = open_submission(path, tmp_path / "loop", ROOT / "code").code_folder
    with libs_of(code):
        observer = Observer(str(code), 1, 8, [1, 4, 4], 1)
        built, function = observer.functions()["p_sample_loop"]
        counts, asks = (
            next(s for s in function.statements.values() if ast.unparse(s).startswith(text))
            for text in ("step -= 1", "x = self.p_sample")
        )
        whole = observer.counted(lambda: observer.call("p_sample_loop", built), math.inf)
        given = ("p_sample_loop", *whole, function)
        found = [observer.without(*given, statement)[-2] for statement in (counts, asks)]
    assert found == ["endless", "other"]


@pytest.mark.slow
@pytest.mark.parametrize("topic", CORE)
def test_keys_are_true_on_right_submissions(topic, tmp_path, monkeypatch):
    """Each key, against a run of the submission that is instrumented in another way.

    What a sheet quotes is in the submission's own file at the line that it says.
    """
    monkeypatch.setattr(torch, "compile", machine.uncompiled)  # a compiler takes minutes
    # It reads the submission's file, whose lines are not those of the instrumented code.
    monkeypatch.setattr(torch.jit, "script", lambda code, *args, **options: code)
    found = [s for s in scenarios("right") if s.topic == topic]
    texts: set[str] = set()
    number = 0
    with Sandbox(SERVE, trusted=True) as sandbox:
        for scenario in found:
            path = scenario.zip_to(tmp_path / f"{scenario.name}.zip")
            submission = open_submission(path, tmp_path / scenario.name, ROOT / "code")
            grade = Grade(path.name, hash_of_file(path), team=scenario.name)
            sheet = sheet_of(grade, path, sandbox)
            assert len(sheet.questions) == 5, (scenario.name, sheet.trouble)
            texts |= {question.text + question.code for question in sheet.questions[:1]}
            if runs_here(submission.code_folder):
                check(sheet, submission.code_folder)
                number += 1
    assert len(texts) > 0.8 * len(found)  # few are asked the same first question
    assert number > 0.5 * len(found)


@pytest.mark.slow
def test_from_grades_to_sheets(tmp_path):
    """The command finds what was graded, and says whose file has changed or is gone."""
    pytest.importorskip("fpdf", reason="viva --pdf needs requirements/grade.txt")
    hand_ins, out = tmp_path / "in", tmp_path / "out"
    hand_ins.mkdir()
    for name in ("one", "two", "three"):
        Scenario("right", name, "", "reference").zip_to(hand_ins / f"{name}.zip")
    run_script("autograder/grade.py", hand_ins, "--out", out, "--only", "q_sample")
    (hand_ins / "two.zip").write_bytes(b"other")
    (hand_ins / "three.zip").unlink()
    done = run_script("autograder/grade.py", "viva", out, "--pdf")
    assert done.returncode == 0, done.stderr
    assert "two.zip: 0 questions: its file has changed since it was graded" in done.stdout
    assert "three.zip: 0 questions: its files have moved" in done.stdout
    assert "sheets of five questions for 1 of 3" in done.stdout
    names = {path.name for path in (out / "viva").iterdir()}
    assert names == {
        "sheets.html",
        "sheets.pdf",
        "keys.html",
        "keys.pdf",
        "keys.csv",
        "sheets.txt",
        "viva.gift",
        "viva_qti.zip",
    }
    page = (out / "viva" / "sheets.html").read_text(encoding="utf-8")
    assert 'class="key"' not in page
    assert 'class="key"' in (out / "viva" / "keys.html").read_text(encoding="utf-8")
    assert json.loads((out / "places.json").read_text())["one.zip"].endswith("one.zip")


def test_a_folder_without_results_is_refused(tmp_path):
    """A folder without results ends with one sentence."""
    done = call_program("autograder/grade.py", "viva", tmp_path)
    assert_refused(done, "holds no results")


def test_submissions_that_nobody_graded_are_refused(tmp_path):
    """A folder of other hand-ins ends with one sentence, not with a sheet for nobody."""
    rubric = load_rubric()
    one = Grade("one.zip", parts=rubric.mark([]))
    write_submission(one, rubric, tmp_path / "out")
    write_sheets([one], rubric, tmp_path / "out")
    (tmp_path / "other.zip").write_bytes(b"zip")
    args = ("autograder/grade.py", "viva", tmp_path / "out", tmp_path / "other.zip")
    assert_refused(call_program(*args), "none of these submissions is among", "such as one.zip")


def read_pdf(sheets: list[Sheet], keys: bool) -> Any:
    """The sheets' PDF as pypdf reads it; skips where a package for PDFs is missing."""
    pypdf = pytest.importorskip("pypdf", reason="pypdf reads the PDF back")
    pytest.importorskip("fpdf", reason="viva --pdf needs requirements/grade.txt")
    from autograder.extras.viva.pdf import as_pdf

    return pypdf.PdfReader(io.BytesIO(as_pdf(sheets, keys)))


def fonts_of(reader: Any) -> list[tuple[str, str]]:
    """The pieces of a PDF's text, each with the name of its font."""
    found: list[tuple[str, str]] = []

    def visit(text: str, _: Any, __: Any, font: Any, *___: Any) -> None:
        found.append((text, str(font["/BaseFont"]) if font else ""))

    for page in reader.pages:
        page.extract_text(visitor_text=visit)
    return found


def bold(reader: Any) -> str:
    """What is bold in a PDF, without white space."""
    return squeezed("".join(text for text, font in fonts_of(reader) if "Bold" in font))


def squeezed(text: str) -> str:
    """The text without white space, which a PDF changes."""
    return "".join(text.split())


def check(sheet: Sheet, code_folder: Path) -> None:
    """Assert that each key is right."""
    for question in sheet.questions:
        with libs_of(code_folder):
            checked = CHECKS[question.kind](question, sheet, code_folder)
        assert checked, (sheet.submission, question)
        assert len(set(question.answers)) == len(question.answers)
        if question.code:
            quoted = [line[6:].strip() for line in question.code.split("\n")]
            own = source(question.lines, code_folder)
            assert quoted == [line.strip() for line in own[: len(quoted)]]


def runs_here(code_folder: Path) -> bool:
    """Whether code needs nothing of what the sandbox offers, such as a pretended GPU."""
    setting = setting_of(1)
    try:
        with libs_of(code_folder):
            observer = Observer(str(code_folder), 1, setting.steps, list(setting.shape), 1)
            observer.unet()
            observer.call("p_sample_loop", observer.ddpm())
    except (Exception, SystemExit):
        return False
    finally:
        torch.set_default_device(None)
    return True


def source(lines: Any, code_folder: Path) -> list[str]:
    text = (code_folder / lines.file).read_text(encoding="utf-8")
    return text.split("\n")[lines.first - 1 : lines.last]


def true_shape(question: Question, sheet: Sheet, code_folder: Path) -> bool:
    """A line is added behind the statement that notes the shape."""
    fact = question.fact
    tree = ast.parse((code_folder / fact.lines.file).read_bytes())

    class Note(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            self.generic_visit(node)
            if isinstance(node, ast.stmt) and node.lineno == fact.lines.first:
                if isinstance(node, ast.Return):
                    noted = ast.parse(f"return SEEN(({ast.unparse(node.value)}))").body
                elif isinstance(node, ast.Assign):
                    noted = [node, *ast.parse(f"SEEN({fact.name})").body]
                else:
                    return node
                return [ast.copy_location(one, node) for one in noted]
            return node

    seen: list[tuple[int, ...]] = []

    def note(value: Any) -> Any:
        seen.append(tuple(value.shape))
        return value

    changed = ast.fix_missing_locations(Note().visit(tree))
    module = run_module(ast.unparse(changed), fact.lines.file, code_folder, SEEN=note)
    for call in calls_into(fact.lines, code_folder):
        seen.clear()
        made(sheet, code_folder, call, module)
        if len(seen) >= fact.time:
            return str(list(seen[fact.time - 1])) == question.right
    return False


def true_alpha_bar(question: Question, sheet: Sheet, code_folder: Path) -> bool:
    """The product of 1 - beta for the course's linear betas, in double precision."""
    steps = sheet.setting.steps
    betas = [1e-4 + (0.02 - 1e-4) * i / (steps - 1) for i in range(steps)]
    expected = math.prod(1 - beta for beta in betas[: steps // 2 + 1])
    nearest = min(question.answers, key=lambda answer: abs(float(answer) - expected))
    return question.right == nearest and abs(float(nearest) - expected) < 2e-3


def true_left_out(question: Question, sheet: Sheet, code_folder: Path) -> bool:
    """The lines are replaced in the text."""
    fact = question.fact
    lines = (code_folder / fact.lines.file).read_text(encoding="utf-8").split("\n")
    first = lines[fact.lines.first - 1]
    indent = first[: len(first) - len(first.lstrip())]
    lines[fact.lines.first - 1 : fact.lines.last] = [f"{indent}pass"]
    before = made(sheet, code_folder, fact.call, None)
    try:
        module = run_module("\n".join(lines), fact.lines.file, code_folder)
        with limited_to(20):
            after = made(sheet, code_folder, fact.call, module)
    except TimeoutError:
        return OUTCOMES[question.right] == "endless"
    except Exception:
        return OUTCOMES[question.right] == "error"
    if after is None:
        return OUTCOMES[question.right] == "nothing"
    if before.shape != after.shape:
        return OUTCOMES[question.right] == "shape"
    equal = torch.allclose(before, after, rtol=1e-5, atol=1e-6)
    return OUTCOMES[question.right] == ("same" if equal else "other")


@contextlib.contextmanager
def limited_to(seconds: int) -> Iterator[None]:
    """End what takes longer with TimeoutError."""

    def end(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def true_pictures(question: Question, sheet: Sheet, code_folder: Path) -> bool:
    """The one with steps left out is the noisier: its neighbouring pixels differ more."""
    rough = [np.abs(np.diff(p.astype(int), axis=0)).mean() for p in question.pictures]
    return len(rough) == 2 and int(np.argmax(rough)) == question.key


def true_label(question: Question, sheet: Sheet, code_folder: Path) -> bool:
    """A label that nobody can compute with stops the run in the right line, or names it there.

    The other lines do not name what the function calls its labels.
    """
    place = question.fact
    function = function_at(place, code_folder)
    arguments = [argument.arg for argument in function.args.args]
    labels = [name for name in arguments if name.startswith(("label", "y", "c"))]
    readers = []
    for call in calls_into(place, code_folder):
        try:
            made(sheet, code_folder, call, None, labels=Untouchable())
        except Untouched as error:
            frame = error.__traceback__
            while frame is not None:
                if frame.tb_frame.f_code.co_filename.endswith(place.file):
                    readers.append(frame.tb_lineno)
                frame = frame.tb_next
    found = [int(re.match(r"lines? (\d+)", answer)[1]) for answer in question.answers]
    right = found.pop(question.key)
    names = {
        n.id
        for statement in ast.walk(function)
        if isinstance(statement, ast.stmt) and statement.lineno == right
        for n in ast.walk(statement)
        if isinstance(n, ast.Name)
    }
    return (right in readers or bool(names & {*labels})) and not set(found) & set(readers)


def true_calls(question: Question, sheet: Sheet, code_folder: Path) -> bool:
    observer = observer_of(sheet, code_folder)
    counted = observer.ddpm()
    observer.call("p_sample_loop", counted)
    return question.right == str(counted.model.calls)


CHECKS = {
    "shape": true_shape,
    "alpha_bar": true_alpha_bar,
    "left_out": true_left_out,
    "pictures": true_pictures,
    "label": true_label,
    "calls": true_calls,
}


class Untouched(Exception):
    """Somebody tried to compute with it."""


class Untouchable:
    """Stands for the labels; it has a shape, and no numbers."""

    shape, device, dtype, ndim = torch.Size([3]), torch.device("cpu"), torch.long, 1

    def __len__(self) -> int:
        return 3

    def size(self, *_: int) -> int:
        return 3

    @classmethod
    def __torch_function__(cls, *_: Any, **__: Any) -> Any:
        raise Untouched

    def __getattr__(self, name: str) -> Any:
        raise Untouched

    def __rmul__(self, other: Any) -> Any:
        raise Untouched

    __add__ = __radd__ = __mul__ = __getitem__ = __rmul__


def observer_of(sheet: Sheet, code_folder: Path) -> Observer:
    setting = sheet.setting
    return Observer(str(code_folder), setting.seed, setting.steps, list(setting.shape), 1)


def made(sheet: Sheet, code_folder: Path, call: str, module: Any, labels: Any = None) -> Any:
    """The result of a call on the sheet's inputs, with another module in the place of one."""
    observer = observer_of(sheet, code_folder)
    if module is None:
        built = observer.unet() if call == "forward" else observer.ddpm()
        return observer.call(call, built, labels)
    before = sys.modules[module.__name__]
    sys.modules[module.__name__] = module
    try:
        built = observer.unet(module) if call == "forward" else observer.ddpm(module)
        return observer.call(call, built, labels)
    finally:
        sys.modules[module.__name__] = before


def run_module(text: str, file: str, code_folder: Path, **names: Any) -> types.ModuleType:
    """The module of a changed text, with more names in it."""
    name = f"libs.{Path(file).stem}"
    importlib.import_module(name)
    module = types.ModuleType(name)
    module.__package__, module.__file__ = "libs", str(code_folder / file)
    module.__dict__.update(names)
    exec(compile(textwrap.dedent(text), str(code_folder / file), "exec"), module.__dict__)
    return module


def function_at(lines: Any, code_folder: Path) -> ast.FunctionDef:
    """The innermost function around a line."""
    tree = ast.parse((code_folder / lines.file).read_bytes())
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.lineno <= lines.first <= node.end_lineno
    ]
    return max(around, key=lambda node: node.lineno)


def calls_into(lines: Any, code_folder: Path) -> list[str]:
    """The calls that may run a line."""
    name = function_at(lines, code_folder).name
    if name == "p_sample":
        return ["p_sample:5"]
    return ["p_sample_loop" if name == "generate" else name]
