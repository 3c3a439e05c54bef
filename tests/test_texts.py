"""What students read: placeholders, the rubric, names of files, what the assignment shows."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from autograder.rubric import load_rubric
from autograder.text import InputError
from instructor.cutting import editions, texts
from instructor.cutting.cutter import build
from instructor.cutting.files import OVERLAY, tracked_files
from instructor.cutting.references import LINK, broken_links, find_dangling
from instructor.cutting.regions import ReleaseError

from helpers.files import ROOT, find_asset
from helpers.scripts import assert_refused, call_program

COURSE = texts.Course(
    "CS 771, fall 2027", "10 December, 23:59", "Canvas, Assignment 4", "the forum", "ada/starter"
)
VALUES = texts.Values(COURSE, editions.read_edition(editions.find_edition("fall2024")))


def read(file: str | Path) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


def text_of(starter: dict[str, bytes], file: str) -> str:
    return starter[file].decode("utf-8")


# Names of files


FILES = {
    "README.md": b"",
    "code/libs/fid.py": b"",
    "docs/a.md": b"# Two words, (2)\n",
    "Makefile": b"run:\n",
}
STAYS = ["tests/test_fid.py", "instructor/grading.md", "autograder/hidden/oracles.py", "README.md"]


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("docs/b.md", "See `instructor/grading.md`.", "instructor/grading.md is not part"),
        ("docs/b.md", "The folder tests/ has more.", "tests is not part"),
        ("code/x.py", '"""As in oracles.py."""', "oracles.py is not part"),
        ("code/x.py", "y = 1  # see tests/test_fid.py", "tests/test_fid.py is not part"),
        ("code/x.py", 'raise E("put it into test_fid.py, please")', "test_fid.py is not part"),
        ("c.yaml", "# as instructor/grading.md says", "instructor/grading.md is not part"),
        ("n.ipynb", json.dumps({"cells": [{"source": ["a\n", "tests/test_fid.py"]}]}), "line 2"),
        ("docs/b.md", "Look into `libs/gone.py`.", "there is no file libs/gone.py"),
        ("docs/b.md", "    make demo\n", "no `make demo`"),
        ("docs/b.md", "not done yet: code/libs/fid.py, line 170", "a line's number"),
        ("docs/b.md", "[text](../instructor/grading.md)", "instructor/grading.md"),
        ("docs/b.md", "![a picture](images/no.png)", "leads to docs/images/no.png"),
        ("docs/b.md", "[text](a.md#three)", "docs/a.md has no heading #three"),
        ("docs/b.md", "[text](#nothing)", "docs/b.md has no heading #nothing"),
    ],
)
def test_names_of_what_students_do_not_have_are_found(file, text, words):
    """Docs, docstrings, comments, messages, configs, notebooks and links, each with its line."""
    (found, *_) = find_dangling({**FILES, file: text.encode()}, STAYS)
    assert re.match(rf"{re.escape(file)}, line \d: ", found)
    assert words in found


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("docs/b.md", "`code/libs/fid.py`, `libs/fid.py`, [this](a.md#two-words-2), `make run`"),
        ("docs/b.md", "[a paper](https://arxiv.org/abs/2006.11239), `logs/CONFIG.yaml`"),
        ("docs/b.md", "<!-- ![to be drawn](curve.png) -->"),
        ("code/x.py", 'path = ROOT / "autograder" / "hidden" / "oracles.py"'),
        ("README.md", "its own README.md"),
    ],
)
def test_names_of_what_is_there_are_fine(file, text):
    """Ends of paths, links to headings, addresses, placeholders, comments, and names in code."""
    assert find_dangling({**FILES, file: text.encode()}, STAYS) == []


def test_release_refuses_a_text_that_names_what_stays(tmp_path):
    """A text for students cannot name a file that they do not get."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "docs/a.md").write_text("# A\nSee tests/test_a.py.\n", encoding="utf-8")
    (tmp_path / "tests/test_a.py").write_text("", encoding="utf-8")
    with pytest.raises(ReleaseError, match=r"docs/a\.md, line 2: tests/test_a\.py is not"):
        build(tmp_path, ["docs/a.md", "tests/test_a.py"])


def test_links_of_all_texts_lead_somewhere():
    """Also in the texts that stay: README.md, instructor/, benchmarks/."""
    files = {f: (ROOT / f).read_bytes() for f in tracked_files()}
    ours = [f for f in files if f.endswith(".md") and not f.startswith(OVERLAY)]
    assert [wrong for file in ours for wrong in broken_links(file, files)] == []


def test_every_page_is_in_the_contents(starter):
    """A page of docs/ that nobody names is a page that nobody reads."""
    contents = "docs/README.md"
    assert contents in {link["path"] for link in LINK.finditer(text_of(starter, "README.md"))}
    linked = {f"docs/{link['path']}" for link in LINK.finditer(text_of(starter, contents))}
    pages = {f for f in starter if f.startswith("docs/") and f.endswith(".md")}
    assert pages - {contents} <= linked


def test_the_gallery_has_every_config():
    """Drawn, or with the reason why not; the pictures are small, and all of them are shown."""
    text, images = read("docs/gallery.md"), ROOT / "docs/images/gallery"
    shown = set(re.findall(r"!\[[^]]+\]\(images/gallery/(\w+)\.png\)", text))
    assert shown == {picture.stem for picture in images.iterdir()}
    assert all(picture.stat().st_size < 100_000 for picture in images.iterdir())
    configs = {config.stem for config in (ROOT / "configs").glob("*.yaml")}
    why_not = set(re.findall(r"`(\w+)`", text.partition("## What is not here")[2]))
    assert shown | why_not == configs
    assert not shown & why_not
    for name in shown:  # with its command, or in the table of points
        assert f"configs/{name}.yaml" in text or f"`{name}`" in text


def test_what_is_for_instructors_is_cut():
    """Regions for instructors are cut, and an unclosed one is refused."""
    text = "a\n\n<!-- BEGIN INSTRUCTORS -->\nsecret\n<!-- END INSTRUCTORS -->\n\nb\n"
    assert texts.for_students(text, "a.md", VALUES) == "a\n\nb\n"
    with pytest.raises(InputError, match="region for instructors"):
        texts.for_students("a\n<!-- BEGIN INSTRUCTORS -->\n", "a.md", VALUES)


# Placeholders


@pytest.fixture(scope="module")
def filled() -> dict[str, bytes]:
    """The starter of a course that says all that texts ask for."""
    return build(ROOT, tracked_files(), COURSE)


def test_the_course_is_filled_in(starter, filled):
    """With values the texts have them, without them they tell students to ask; nothing is left."""
    for file in ("docs/assignment.md", "README.md"):
        assert COURSE.due in text_of(filled, file)
        assert texts.ASK in text_of(starter, file)
        assert texts.ASK not in text_of(filled, file)
    for name in (COURSE.course, COURSE.where, COURSE.contact):
        assert name in text_of(filled, "docs/assignment.md")
    for texts_ in (starter, filled):
        filled_in = {f: text_of(texts_, f) for f in texts_ if f.endswith(".md")}
        cells = json.loads(text_of(texts_, "notebooks/walkthrough.ipynb"))["cells"]
        filled_in["notebook"] = "".join(cells[0]["source"])
        assert not [f for f, text in filled_in.items() if "{{" in text]


def test_the_badge_opens_the_notebook_of_the_students_repository(starter, filled):
    """Without a repository there is none, and no gap in its place."""
    address = f"/github/{COURSE.repository}/blob/main/notebooks/walkthrough.ipynb"
    assert "notebooks/walkthrough.ipynb" in filled
    for file in ("README.md", "notebooks/walkthrough.ipynb"):
        assert f"https://colab.research.google.com{address}" in text_of(filled, file)
        assert "colab-badge" not in text_of(starter, file)
    assert "\n\n\n" not in text_of(starter, "README.md").partition("## Start")[0]
    cells = {
        name: json.loads(text_of(s, "notebooks/walkthrough.ipynb"))["cells"]
        for name, s in (("starter", starter), ("filled", filled))
    }
    assert cells["starter"][1:] == cells["filled"][1:]


def test_versions_are_those_of_the_requirements(starter):
    """The students' README names the torch version of requirements.txt."""
    pinned = re.search(r"torch==\S+", read("requirements.txt"))[0]
    assert pinned in text_of(starter, "README.md")


def test_unknown_placeholder_is_refused():
    """A misspelt placeholder is refused with its line and a suggestion."""
    with pytest.raises(InputError, match=r"a\.md, line 2: unknown placeholder \{\{deu\}\}.*'due'"):
        texts.for_students("a\n{{deu}}", "a.md", VALUES)


def test_release_says_what_the_course_leaves_open(tmp_path):
    """The release lists what course.yaml leaves open, and a partial file is read."""
    process = call_program("instructor/release.py", "--zip", tmp_path / "a.zip")
    assert process.returncode == 0, process.stderr
    assert "leaves open: course, due, where, contact" in process.stdout
    (tmp_path / "course.yaml").write_text("due: 10 December\nwhere: Canvas\n", encoding="utf-8")
    read = texts.read_course(tmp_path / "course.yaml")
    assert (read.due, read.missing) == ("10 December", ["course", "contact"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("deu: monday\n", "unknown key 'deu'"),
        ("due: 2027-12-10\n", "due must be text in quotes"),
        ("due: ''\n", "due must be text"),
        ("repository: https://github.com/ada/starter\n", "must be OWNER/NAME"),
        ("- due\n", "must have the keys course, due"),
        ("due: [\n", "not valid YAML"),
        (None, "cannot be read"),
    ],
)
def test_mistakes_in_the_courses_file_get_a_sentence(tmp_path, content, words):
    """Each mistake in course.yaml is a sentence with the file."""
    path = tmp_path / "course.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as error:
        texts.read_course(path)
    assert str(path) in str(error.value)
    assert words in str(error.value)


# The rubric


def test_students_read_what_a_person_looks_for(starter):
    """The published rubric has every part with its points, every group and every line."""
    text = text_of(starter, "docs/assignment.md")
    for part in load_rubric().parts:
        assert f"| {part.title} | {part.points} |" in text
        for line in part.look_for:
            assert f"  - {' '.join(line.split())}\n" in text
        for group in part.credit:
            assert re.search(rf"^  - tests: .*\b{group} ", text, re.M)
    deduction = f"costs {load_rubric().percent}% of\nthe {load_rubric().core} points"
    assert deduction in text


ANSWERS = r"cross-attention|self-attention|sinusoid|embedd|added to|GroupNorm|scale and shift|skip"
ANSWERS += r"|insufficient|too few (steps|epochs|images)|small(er)? (model|network)|undertrain"


def test_the_published_rubric_answers_no_question(starter):
    """It says what is asked for, not what the right answer to the report's questions is."""
    lines = [line for part in load_rubric().parts for line in part.look_for if not part.automatic]
    assert [line for line in lines if re.search(ANSWERS, line, re.I)] == []


# The assignment's text


def test_the_assignment_has_what_a_team_needs(starter):
    """Papers by links, flags, TensorBoard, Stable Diffusion, the cloud, packages, teams."""
    text = text_of(starter, "docs/assignment.md")
    assert "(stable_diffusion.md#where-the-files-come-from)" in text
    text += text_of(starter, "docs/stable_diffusion.md")
    for paper in "2006.11239 2112.10752 2403.18103 2010.02502 2206.00364 2207.12598".split():
        assert f"https://arxiv.org/abs/{paper}" in text
    needed = (
        "https://huggingface.co/blog/annotated-diffusion, `-c N`, tensorboard --logdir logs, scp"
    )
    needed += (
        ", stop the\nmachine, two or three students, v1-5-pruned-emaonly.safetensors, merges.txt"
    )
    needed += ", OpenRAIL-M, Other packages, python train.py ../configs/mnist.yaml, costs 5%"
    for words in needed.split(", "):
        assert words in text, words


def test_plotting_snippet_runs(tmp_path, monkeypatch):
    """The code that plots loss_history.json, on a history with gaps as runs write it."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    code = re.search(r"```python\n(.*?)```", read("docs/assignment.md"), re.S)[1]
    history = {"epochs": [1, 2], "train_loss": [0.3, 0.2], "test_loss": [None, 0.25]}
    (tmp_path / "logs/RUN").mkdir(parents=True)
    (tmp_path / "results").mkdir()
    (tmp_path / "logs/RUN/loss_history.json").write_text(json.dumps(history), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(ast.parse(code), "assignment.md", "exec"), {})
    assert (tmp_path / "results/curves.png").stat().st_size > 1000


def test_tensorboards_names_are_those_that_training_writes(starter):
    """What the text tells to look at is what the trainer logs."""
    text = text_of(starter, "docs/assignment.md")
    source = read("code/libs/training/trainer.py")
    names = re.findall(r"`((?:train|test)/\w+)`", text)
    assert len(names) >= 4
    assert [name for name in names if f'"{name}"' not in source] == []


# The figures


def test_figures_are_drawn_on_white(tmp_path, monkeypatch, capsys):
    """Both figures, with an untrained model and, where they are, TAESD's weights."""
    figures = pytest.importorskip("instructor.figures")
    import numpy as np
    import torch
    from PIL import Image

    from libs.ddpm import DDPM

    torch.manual_seed(0)
    model = DDPM((1, 8, 8), timesteps=20, dim=8, context_dim=8, dim_mults=(1, 2), attn_levels=())
    figures.draw_chains(model.eval(), tmp_path / "ddpm.png")
    drawn = [tmp_path / "ddpm.png"]
    stored = [ROOT / "docs/images/ddpm.png", ROOT / "docs/images/latent.png"]
    for path in drawn + stored:
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels.shape[1] == 1248
        assert (pixels[:4] == 255).all(), "a light background"
        assert (pixels == 255).mean() > 0.4
        assert (pixels < 128).mean() > 0.02


def test_latent_figure_is_drawn_from_real_weights(tmp_path):
    """The figure of the latent space can be drawn again from TAESD's weights."""
    figures = pytest.importorskip("instructor.figures")
    weights = [find_asset(f"pretrained/taesd_{part}.pth") for part in ("encoder", "decoder")]
    figures.draw_latent(figures.TAESD(*map(str, weights)).eval(), tmp_path / "latent.png")
    assert (tmp_path / "latent.png").stat().st_size > 20_000


def test_figures_without_weights_are_refused(tmp_path):
    """Without weights, the figures' script says how to get them."""
    process = call_program("instructor/figures.py", "--run", tmp_path, "--weights", tmp_path)
    assert_refused(process, "taesd_encoder.pth", "download_dataset.sh taesd")


def test_readme_shows_the_core_as_it_is():
    """README.md's 25 lines are those of ddpm.py, in their order, without what tells about them."""
    shown = re.search(r"```python\n(.*?)```", read("README.md"), re.S)[1]
    calls = re.sub(r"^def (\w+)\(.*", r"def \1(", shown, flags=re.M)
    source = (line.strip() for line in read("code/libs/ddpm.py").splitlines())
    for line in filter(None, map(str.strip, calls.splitlines())):
        assert any(there.startswith(line) for there in source), line
    assert len(shown.splitlines()) <= 30


def test_quoted_config_is_the_config():
    """docs/stable_diffusion.md shows configs/stable_diffusion_v1.yaml, in the lines it promises."""
    text = read("docs/stable_diffusion.md")
    shown = re.search(r"```yaml\n(.*?)```", text, re.S)[1]
    stored = read("configs/stable_diffusion_v1.yaml")
    assert yaml.safe_load(shown) == yaml.safe_load(stored)
    assert len(shown.splitlines()) <= int(re.match(r"# Stable Diffusion in (\d+) lines", text)[1])
