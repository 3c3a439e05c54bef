"""A course's edition: what is asked, given or left out, and that starter, texts, rubric and public
tests follow from it, whichever parts an instructor chooses."""

import ast
import dataclasses
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
import zip_submission
from autograder.checks.cases import load_goldens
from autograder.hints import HINTS
from autograder.judge import parts_to_test
from autograder.rubric import load_rubric
from autograder.text import InputError, number
from instructor.cutting import editions, regions, texts
from instructor.cutting.cutter import GOLDENS, Cutter, build
from instructor.cutting.files import goes_out, tracked_files
from instructor.cutting.references import LINK
from instructor.release import write_folder

from helpers.files import ROOT
from helpers.scripts import call_program, run_script
from libs.samplers.sampler import NAMES, SAMPLERS

FACTS = editions.known_parts()
CODE = [part for part, facts in FACTS.items() if not (facts.report or facts.helper)]
PRICES = {part.id: part.points for part in editions.all_parts(load_rubric())}
BONUS = {part.id for part in editions.all_parts(load_rubric()) if part.bonus}
RUNS = {"report_mnist": "mnist", "report_afhq": "afhq", "report_fm": "afhq_fm"}
RANDOM = ["random 1", "random 2", "random 3"]


def random_edition(seed: int) -> dict:
    """What a file of an edition holds that nobody has thought of, but that is right."""
    drawn = random.Random(seed)
    states = {part: drawn.choice(["stub", "given", "absent"]) for part in CODE}
    states |= {part: drawn.choice(["stub", "given"]) for part in CODE if FACTS[part].always}
    states[drawn.choice([part for part in CODE if FACTS[part].always])] = "stub"
    states |= {part: drawn.choice(["stub", "absent"]) for part in ("report_unet", *RUNS)}
    for part, state in states.items():
        for need in FACTS[part].needs:
            if state != "absent" and states[need] == "absent":
                states[need] = "given"
    points = {part: drawn.choice([0.5, 1, 1.5, 3]) for part, s in states.items() if s == "stub"}
    listed = [
        {"id": part, "points": points[part]} if part in points else {"id": part, "as": state}
        for part, state in drawn.sample(sorted(states.items()), len(states))
    ]
    sums = {
        kind: sum(p for part, p in points.items() if (part in BONUS) == (kind == "bonus"))
        for kind in ("core", "bonus")
    }
    found = {"title": f"Homework {seed}", "term": "spring", "points": sums, "parts": listed}
    if states["report_unet"] == "stub":
        found["questions"] = ["What is a skip for?", "Where does $t$ enter?"][: drawn.randint(1, 2)]
    found["experiments"] = [
        {"part": part, "config": config, "show": drawn.sample(editions.SHOWN, drawn.randint(1, 3))}
        for part, config in RUNS.items()
        if part in points
    ]
    if drawn.random() < 0.5:
        found["names"] = {"p_sample_loop": "generate", "model_name": "model_type"}
        found["changes"] = ["loss_draws_t"]
    return found


def write(folder: Path, values: dict) -> Path:
    """The file of an edition."""
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


@pytest.fixture(scope="module", params=[*editions.names(), *RANDOM])
def edition(request, tmp_path_factory) -> editions.Edition:
    """An edition of the kit, or one made up at random."""
    if request.param not in RANDOM:
        return editions.read_edition(editions.find_edition(request.param))
    folder = tmp_path_factory.mktemp("edition")
    values = random_edition(seed=RANDOM.index(request.param))
    return editions.read_edition(write(folder, values))


@pytest.fixture(scope="module")
def cut(edition) -> dict[str, bytes]:
    """The starter of an edition; cutting refuses what leaks, dangles or does not parse."""
    return build(ROOT, tracked_files(), edition=edition)


def text(cut: dict[str, bytes], file: str) -> str:
    return cut[file].decode("utf-8")


def solved(edition: editions.Edition) -> dict[str, bytes]:
    """The files with regions as a team would hand them in that has done all parts."""
    given = dataclasses.replace(edition, parts=(), given=frozenset(FACTS))
    cutter = Cutter(given, texts.Values(texts.Course(), edition))
    files = [f for f in tracked_files() if f.startswith("code/") and f.endswith(".py")]
    return {f: cutter.cut(f, (ROOT / f).read_bytes()) for f in files}


# What is cut


def test_each_part_is_a_stub_or_given_or_left_out(edition, cut):
    """A stub says what to do, a given part works, and of an absent one there is no task."""
    for file in tracked_files():
        if not (file.startswith("code/") and file.endswith(".py") and goes_out(file, edition)):
            continue
        source = (ROOT / file).read_text(encoding="utf-8")
        parts = re.findall(rf"(?m)^ *{regions.BEGIN} (\w+)$", source)
        out = text(cut, file)
        assert regions.wrong_line(out) is None
        asked = [part for part in parts if part in edition.asked]
        raises = "raise NotImplementedError"
        stubs = out.count(raises) - out.count(regions.NO_PART)
        assert stubs == regions.unmarked(source).count(raises) + len(asked), file
        assert len(re.findall(r"# TODO", out)) == len(asked), file
        absent = [part for part in parts if part not in edition.asked.keys() | edition.solved]
        assert out.count(regions.NO_PART) == len(absent), file
        assert "SOLUTION" not in out


def test_the_zip_s_check_misses_no_function_to_fill_in(edition, cut, monkeypatch):
    """Those of the core are problems, also below the place of a part that is absent."""
    chain = edition.names.get("p_sample_loop", "p_sample_loop")
    functions = {
        **{part: [f"DDPM.{part}"] for part in ("q_sample", "p_sample", "compute_loss")},
        **{"unet": ["UNet.forward"], "p_sample_loop": [f"DDPM.{chain}"]},
        "latent": ["DDPM.compute_loss", f"DDPM.{chain}"],
        **{"fm_loss": ["FM.interpolate", "FM.compute_loss"], "fm_generate": ["FM.generate"]},
    }
    script = re.search(r"(?m)^CORE_FILES = (.*)$", text(cut, "zip_submission.py"))
    monkeypatch.setattr(zip_submission, "CORE_FILES", ast.literal_eval(script[1]))
    files = [file for file in cut if file.startswith("code/") and file.endswith(".py")]
    found = zip_submission.stubs({file: ast.parse(text(cut, file)) for file in files})
    core = {".".join(stub.scope) for stub in found if stub.is_core}
    assert core == {name for part in functions.keys() & edition.asked for name in functions[part]}
    assert zip_submission.NO_PART in regions.NO_PART
    lines = [text(cut, stub.file).splitlines()[stub.line - 1] for stub in found]
    assert not [line for line in lines if zip_submission.NO_PART in line]


def test_the_rubric_is_the_editions(edition, cut, tmp_path):
    """Ids, points, and what a person looks for come to what the edition says."""
    path = tmp_path / "rubric.yaml"
    path.write_bytes(cut["autograder/rubric.yaml"])
    rubric = load_rubric(path)  # which checks the sums
    assert rubric.ids == [part.id for part in edition.parts]
    assert (rubric.core, rubric.bonus) == (edition.core, edition.bonus)
    assert rubric.assignment == edition.title
    assert not rubric.others
    assignment = text(cut, "docs/assignment.md")
    for part in rubric.parts:
        lines = [float(line.split()[0]) for line in part.look_for]
        assert sum(lines) == pytest.approx(part.by_hand)
        assert f"| {part.title} | {number(part.points)} |" in assignment
        assert re.search(rf"(?m)^##+ {re.escape(part.task)}", assignment), part.task


def test_points_of_the_texts_add_up(edition, cut):
    """The headings of the assignment and of both templates come to the core points."""
    found = {
        "docs/assignment.md": r"(?m)^### \d+\. .*\(([\d.]+) points?",
        "writeup/report.md": r"(?m)^## \d+\. .*\(([\d.]+) points?(?! each)",
        "writeup/report.tex": r"(?m)^\\section\{.*\(([\d.]+) points?(?! each)",
    }
    for file, heading in found.items():
        without_bonus = re.sub(r"(?m)^.*Bonus \(.*$", "", text(cut, file))
        points = map(float, re.findall(heading, without_bonus))
        assert sum(points) == pytest.approx(edition.core), file
    assert f"the {number(edition.core)} points" in text(cut, "docs/assignment.md")
    assert ("bonus" in text(cut, "docs/assignment.md").lower()) == bool(edition.bonus)


def test_tasks_are_numbered_without_a_gap(edition, cut):
    """And a TODO in the code has the number of its task."""
    assignment = text(cut, "docs/assignment.md")
    titles = re.findall(r"(?m)^### (\d+)\. (.+?) \(", assignment)
    assert [int(n) for n, _ in titles] == list(range(1, len(titles) + 1))
    numbers = {title: n for n, title in titles}
    for file, title in (("ddpm", "The diffusion model"), ("unet", "The UNet")):
        source = text(cut, f"code/libs/{file}.py")
        todos = [n for n, name in re.findall(r"# TODO (\d) (\w+)", source) if "coding" not in name]
        assert set(todos) <= {numbers.get(title)}


def test_the_report_asks_what_the_edition_asks(edition, cut):
    """Both templates have its questions and experiments, and the zip knows how many answers."""
    for file in ("writeup/report.md", "writeup/report.tex"):
        for question in edition.questions:
            assert question in text(cut, file)
        for part in RUNS:
            shown = [each.show for each in edition.experiments if each.part == part]
            curves = f"{part.removeprefix('report_')}_curve.png" in text(cut, file)
            assert curves == any("curve" in show for show in shown)
    answers = text(cut, "writeup/report.md").count(texts.ANSWER)
    assert f'"Your answer here", {answers} ' in text(cut, "zip_submission.py")
    assert text(cut, "writeup/report.tex").count(texts.ANSWER) == answers


def test_public_tests_are_those_of_the_parts_asked(edition, cut, tmp_path):
    """Tests, their stored cases and hints."""
    (tmp_path / "rubric.yaml").write_bytes(cut["autograder/rubric.yaml"])
    tested = parts_to_test(load_rubric(tmp_path / "rubric.yaml"), None)
    tests = {f for f in cut if f.startswith("autograder/tests/test_")}
    assert tests == {f"autograder/tests/test_{part}.py" for part in tested}
    path = tmp_path / "goldens.npz"
    path.write_bytes(cut[GOLDENS])
    with np.load(path) as file:
        assert len(file.files) > 1
    stored = {case.part for case in load_goldens(path)}
    assert stored == {case.part for case in load_goldens()} & set(tested)
    hints = yaml.safe_load(text(cut, "autograder/hints.yaml"))
    everything = yaml.safe_load(HINTS.read_text(encoding="utf-8"))
    assert hints.items() <= everything.items()
    assert ("ddim_weights" in hints) == ("bonus_sampling" in edition.asked)


def test_the_contents_link_the_editions_pages(edition, cut):
    """All that go out, and no other; the links to others are cut with their parts."""
    linked = {f"docs/{link['path']}" for link in LINK.finditer(text(cut, "docs/README.md"))}
    pages = {f for f in cut if f.startswith("docs/") and f.endswith(".md")}
    assert linked == pages - {"docs/README.md"}


def test_names_are_the_editions_everywhere(edition, cut):
    """No text or code of the starter has the name that this branch uses, but as a part's id."""
    for old, new in edition.names.items():
        keeps = ("autograder/", "zip_sub")
        ours = {f: c for f, c in cut.items() if not f.startswith(keeps)}
        left = [f for f, c in ours.items() if re.search(rb"\b%s\b" % old.encode(), c)]
        assert left == []
        judge = [f for f in cut if f.startswith(("autograder/checks/", "autograder/tests/test_"))]
        for file in (file for file in judge if file.endswith(".py")):
            said = text(cut, file).replace(f'PART = "{old}"', "")
            assert not re.search(rf"\b{old}\b", said), file
        assert new in "".join(text(cut, f) for f in cut if f.startswith("code/"))
    for old, new in edition.configs.items():
        assert f"configs/{new}.yaml" in cut
        assert f"configs/{old}.yaml" not in cut or old in edition.configs.values()


def test_a_loss_that_draws_t(edition, cut):
    """Where the edition changes it, compute_loss of both models has no argument for times."""
    changed = any(change.source.stem == "loss_draws_t" for change in edition.changes)
    for file in ("ddpm", "fm"):
        if f"code/libs/{file}.py" in cut:
            tree = ast.parse(text(cut, f"code/libs/{file}.py"))
            functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            (loss,) = [node for node in functions if node.name == "compute_loss"]
            assert ("t" in [argument.arg for argument in loss.args.args]) != changed
    for file in ("configs/digits.yaml", "notebooks/walkthrough.ipynb"):
        assert ("min_snr_gamma" in text(cut, file)) != changed, "weights of times that we draw"


@pytest.mark.parametrize("name", ["walkthrough", "toy"])
def test_notebooks_name_what_the_edition_has(cut, name):
    """Functions, keys, configs and imports exist, and no cell needs a part that is absent."""
    notebook = json.loads(text(cut, f"notebooks/{name}.ipynb"))
    code = "\n".join(text(cut, f) for f in cut if f.startswith("code/") and f.endswith(".py"))
    words = set(re.findall(r"\w+", code))
    headings = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        for config in re.findall(r"\b(\w+)\.yaml", source):
            assert f"configs/{config}.yaml" in cut, cell["id"]
        if cell["cell_type"] == "markdown":
            named = re.findall(r"`([a-z_]\w*(?:\.\w+)*)(?:=\S*)?`", source)
            keys = {each for each in named if not each.endswith((".yaml", ".txt"))}
            assert {word for key in keys for word in key.split(".")} <= words, cell["id"]
            headings += [int(number) for number in re.findall(r"(?m)^## (\d+)\. ", source)]
            continue
        for node in ast.walk(ast.parse(re.sub(r"(?m)^%.*$", "", source))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("libs"):
                for imported in (alias.name for alias in node.names):
                    place = f"code/{node.module.replace('.', '/')}"
                    file = next(
                        f
                        for f in (f"{place}.py", f"{place}/{imported}.py", f"{place}/__init__.py")
                        if f in cut
                    )
                    assert imported in text(cut, file) or imported == Path(file).stem, cell["id"]
                    assert regions.NO_PART not in text(cut, file), f"{cell['id']}: {file}"
    assert headings == list(range(1, len(headings) + 1))


def test_commands_use_samplers_that_are_there(cut):
    """A file can be named by a flag, too: `--sampler dpm++` needs one that students do not get."""
    pages = "\n".join(text(cut, file) for file in cut if file.endswith(".md"))
    commands = "\n".join(re.findall(r"(?m)^    .*", pages))
    used = set(re.findall(r"(?:--|eval_|\.)sampler[= ]([a-z][\w+]*)", commands))
    assert used <= {name for name in NAMES if f"code/libs/{SAMPLERS.get(name, 'edm')}.py" in cut}


def test_a_tag_that_is_no_part_is_refused():
    """A cell that needs what nobody knows would never go out."""
    values = texts.Values(texts.Course(), editions.default_edition())
    cell = {"cell_type": "code", "id": "a", "metadata": {"tags": ["bonus_emd"]}, "source": []}
    with pytest.raises(InputError, match=r"^n\.ipynb, cell a: there is no part 'bonus_emd' \(did"):
        texts.notebook_for_students(json.dumps({"cells": [cell]}), "n.ipynb", values)


def test_a_page_shows_what_is_given_and_a_task_only_what_is_asked():
    """Of a part that is given, pages say how to use it; tasks, report and README ask for it."""
    edition = editions.read_edition(editions.find_edition("fall2025"))
    block = "<!-- BEGIN bonus_sampling -->\nDDIM\n<!-- END bonus_sampling -->\n"
    assert texts.blocks_of(block, "docs/editing.md", edition) == "DDIM\n"
    for file in ("docs/assignment.md", "writeup/report.md", "instructor/starter/README.md"):
        assert texts.blocks_of(block, file, edition) == ""


def test_the_default_edition_is_the_rubric_of_this_branch():
    """Without --rubric the grader grades what a cut without --edition asks for."""
    edition = editions.default_edition()
    assert edition.parts == load_rubric().parts


def test_a_change_that_finds_no_place_is_refused():
    """A change goes stale when its place is edited: the file, and what it looked for, are named."""
    edition = editions.default_edition()
    change = editions.Change(Path("x.yaml"), "LICENSE", "no such line", "")
    stale = dataclasses.replace(edition, changes=(change,))
    cutter = Cutter(stale, texts.Values(texts.Course(), stale))
    with pytest.raises(regions.ReleaseError, match=r"x\.yaml: .* in LICENSE is there 0 times"):
        cutter.changed("LICENSE", "MIT")


# Grading it


def graded(folder: Path) -> str:
    """What the public tests of a starter say of it."""
    process = run_script("autograder/grade.py", "--public", ".", cwd=folder, timeout=600)
    assert process.returncode in (0, 1), process.stderr
    return process.stdout


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
)
def test_a_made_up_edition_is_graded_by_its_own_starter(tmp_path, seed):
    """Its stubs are not attempted, and a team that has done all parts gets all their points."""
    edition = editions.read_edition(write(tmp_path, random_edition(seed)))
    folder = tmp_path / "starter"
    write_folder(build(ROOT, tracked_files(), edition=edition), folder)
    automatic = [part for part in edition.parts if part.automatic]
    stubs = graded(folder)
    for part in automatic:
        points = re.escape(number(part.by_tests))
        assert re.search(rf"(?m)^{part.id} +0 of {points}  \S+ Not implemented yet ", stubs), stubs
    for file, content in solved(edition).items():
        if (folder / file).exists():
            (folder / file).write_bytes(content)
    done = graded(folder)
    for part in automatic:
        points = re.escape(number(part.by_tests))
        assert re.search(rf"(?m)^{part.id} +{points} of {points}\b", done), done


def test_another_editions_rubric_is_graded_by(tmp_path):
    """--rubric takes the columns and points of an edition; its other parts do not run."""
    edition = editions.read_edition(write(tmp_path, random_edition(1)))
    path = tmp_path / "rubric.yaml"
    library = (ROOT / "autograder" / "rubric.yaml").read_text(encoding="utf-8")
    path.write_text(editions.rubric_text(edition, library), encoding="utf-8")
    process = run_script("autograder/grade.py", "--rubric", path, "--only", "nothing", ".")
    automatic = [part.id for part in edition.parts if part.automatic]
    assert process.returncode == 2
    assert f"the parts are {', '.join(automatic)}" in process.stderr


def test_texts_have_the_edition_s_title_and_ask_for_no_more_than_it_does(edition, cut):
    """A flow is trained on the digits first; no answers are due where there are no questions."""
    asked, assignment = edition.asked.keys(), text(cut, "docs/assignment.md")
    runs = {part for part in asked if FACTS[part].report} - {"report_unet"}
    for words in (assignment, text(cut, "README.md")):
        assert words.splitlines()[0].endswith(f": {edition.title}")
        found = "python code/train.py configs/digits_fm.yaml" in words
        assert found == bool(asked & {"fm_loss", "fm_generate"})
    assert ("the answers to the questions" in assignment) == ("report_unet" in asked)
    assert ("curves and samples of each experiment" in assignment) == bool(runs)


# Mistakes in an edition

MINE = """title: Homework
term: spring 2027
points: {core: 5, bonus: 0}
parts:
  - {id: unet, as: given}
  - {id: q_sample, points: 1}
  - {id: p_sample, points: 1}
  - {id: p_sample_loop, as: given}
  - {id: compute_loss, points: 1}
  - {id: report_mnist, points: 2}
experiments:
  - {part: report_mnist, config: mnist, show: [curve]}
names: {p_sample_loop: generate}
"""


def test_a_short_edition_is_enough(tmp_path):
    """An edition of 30 lines is read; points, given parts and look_for lines follow from it."""
    path = tmp_path / "mine.yaml"
    path.write_text(MINE, encoding="utf-8")
    edition = editions.read_edition(path)
    assert len(MINE.splitlines()) <= 30
    assert (edition.core, edition.given) == (5, {"unet", "p_sample_loop"})
    assert [line[:11] for line in edition.asked["report_mnist"].look_for] == ["1 point: th"] * 2


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("id: q_sample", "id: q_sampel", 6, "no part 'q_sampel' (did you mean 'q_sample'?)"),
        ("id: p_sample,", "id: q_sample,", 7, "q_sample is listed in line 6 already"),
        ("core: 5", "core: 6", 3, "core is 6, but the points of these parts add up to 5"),
        ("bonus: 0", "bonus: 4", 3, "bonus is 4, but the points of these parts add up to 0"),
        ("{id: unet, as: given}", "{id: unet, as: absent}", 5, "unet is absent, but training"),
        ("  - {id: unet, as: given}\n", "", 4, "unet is absent, but training"),
        ("as: given}\n  - {id: q", "as: gave}\n  - {id: q", 5, "not 'gave' (did you mean 'given'"),
        ("unet, as: given", "unet, as: given, points: 1", 5, "has neither points nor look_for"),
        (
            "{id: report_mnist, points: 2}",
            "{id: report_mnist, points: 1}\n  - {id: report_afhq, points: 1}",
            11,
            "report_afhq needs latent, which is absent",
        ),
        ("points: 2}", "points: 2}\n  - {id: eval}", 11, "eval is helper code and no task"),
        (
            "points: 2}",
            "points: 2}\n  - {id: bonus_scaling, as: given}",
            11,
            "needs bonus_sampling",
        ),
        ("report_mnist, points: 2", "report_mnist, as: given", 10, "cannot be given"),
        ("config: mnist", "config: mnits", 12, "no configs/mnits.yaml (did you mean 'mnist'?)"),
        ("[curve]", "[curves]", 12, "unknown thing to show 'curves' (did you mean 'curve'?)"),
        (
            "experiments:\n  - {part: report_mnist, config: mnist, show: [curve]}\n",
            "",
            10,
            "no exper",
        ),
        ("points: 2}", "points: 2}\n  - {id: report_unet}", 11, "there are no questions"),
        ("points: 2}", "points: 2}\n  - {id: fm_generate, as: given}", 11, "needs fm_loss"),
        ("points: 2}", "points: 2}\n  - {id: fm_loss, as: given}", 11, "needs fm_generate"),
        ("id: q_sample", "id: [q_sample]", 6, "id: must be text and not empty, not ['q_sample']"),
        ("names: {p_sample_loop", "names: {p_sample_lop", 13, "nothing called 'p_sample_lop'"),
        ("generate}", "q_sample}", 13, "can be called generate, not 'q_sample'"),
        ("generate}", "generate}\nconfigs: {mnist: x, afhq: x}", 14, "would both be called x"),
        ("generate}", "generate}\nconfigs: {mnist: afhq}", 14, "there is configs/afhq.yaml"),
        ("generate}", "generate}\nchanges: [loss_draw_t]", 14, "no change 'loss_draw_t' (did you"),
        ("generate}", "generate}\nquestions: [Why so]", 14, "report_unet is not asked"),
        ("term:", "trem:", 2, "trem: unknown key (did you mean 'term'?)"),
        ("title: Homework", "title: [a]", 1, "title: must be text and not empty, not ['a']"),
        ("{id: q_sample, points: 1}", "q_sample", 6, "must be a mapping with the keys id"),
        ("q_sample, points: 1", "q_sample, points: -1", 6, "points: must be a number, 0 or more"),
        ("q_sample, points: 1", "q_sample, points: 0", 6, "points of q_sample must be above 0"),
        ("mnist, points: 2}", "mnist, look_for: ['3 points: all']}", 10, "come to 3, but a person"),
        ("mnist, points: 2}", "mnist, look_for: [all]}", 10, "begins with what it earns"),
    ],
)
def test_mistakes_in_an_edition_get_a_sentence_with_the_line(tmp_path, old, new, line, words):
    """Each mistake of an edition is reported with the file and the line it is in."""
    path = tmp_path / "mine.yaml"
    assert MINE.count(old) == 1
    path.write_text(MINE.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as error:
        editions.read_edition(path)
    found = [text for text in str(error.value).splitlines() if words in text]
    assert [text.split(": ")[0] for text in found] == [f"{path}, line {line}"], error.value


def test_editions_that_there_are_not_get_a_sentence(tmp_path):
    """An unknown edition, or a missing file, is refused by release.py with exit code 2."""
    for name, words in (
        ("fall2042", "there is no edition 'fall2042'"),
        ("no.yaml", "cannot be read"),
    ):
        process = call_program("instructor/release.py", "--edition", name, "--out", tmp_path / "s")
        assert process.returncode == 2
        assert words in process.stderr
        assert len(process.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("<!-- BEGIN q_sampel -->\n<!-- END q_sampel -->", "line 1: there is no part 'q_sampel'"),
        ("a\n<!-- BEGIN latent -->\nb", "line 2: the block 'latent' does not end"),
        ("<!-- BEGIN latent -->\n<!-- END unet -->", "line 2: this ends no block"),
        ("a\n{{points unett}}", "line 2: there is no part 'unett' (did you mean 'unet'?)"),
        ("{{core unet}}", "line 1: unknown placeholder {{core unet}}"),
    ],
)
def test_wrong_blocks_and_placeholders_are_refused(words, line):
    """A block that is not closed, or a placeholder nobody knows, never reaches students."""
    values = texts.Values(texts.Course(), editions.default_edition())
    with pytest.raises(InputError, match=f"^a.md, {re.escape(line)}"):
        texts.for_students(words, "a.md", values)
