"""The walkthrough notebook: clean as stored, runs to its end, and stops at a stub by name."""

import json
import re
import shutil
from pathlib import Path

import pytest
from instructor.cutting.cutter import build
from instructor.cutting.files import tracked_files
from instructor.release import write_folder

from helpers.files import ROOT
from helpers.starter import fill_in

NOTEBOOK, TOY = "notebooks/walkthrough.ipynb", "notebooks/toy.ipynb"
ABSOLUTE = r"(?<![\w.)])/(home|Users|work|tmp|content|root|mnt|opt|usr|etc|var)\b|\b[A-Z]:\\"


def sources(notebook: dict) -> dict[str, str]:
    """The text of each cell by the cell's id."""
    return {cell["id"]: "".join(cell["source"]) for cell in notebook["cells"]}


def execute(repository: Path, name: str = NOTEBOOK) -> tuple[dict, Exception | None]:
    """Run a copy's notebook in its folder; returns it with outputs, and the error it ended with."""
    reason = "runs the notebook: pip install -r requirements/dev.txt"
    nbformat = pytest.importorskip("nbformat", reason=reason)
    nbclient = pytest.importorskip("nbclient", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    path = repository / name
    path.parent.mkdir(exist_ok=True)
    shutil.copy2(ROOT / name, path)
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    folder = {"metadata": {"path": str(path.parent)}}
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=folder)
    try:
        client.execute()
    except nbclient.exceptions.CellExecutionError as error:
        return notebook, error
    return notebook, None


def printed(notebook: dict, cell_id: str) -> str:
    """What a cell printed."""
    return "".join(out.get("text", "") for out in outputs(notebook, cell_id))


def outputs(notebook: dict, cell_id: str) -> list[dict]:
    """The outputs of a cell."""
    return next(cell["outputs"] for cell in notebook["cells"] if cell["id"] == cell_id)


@pytest.mark.parametrize("name", [NOTEBOOK, TOY])
def test_stored_notebook_is_clean(name):
    """The file parses as format 4.5 with unique ids, has no outputs and no absolute paths."""
    notebook = json.loads((ROOT / name).read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    texts = sources(notebook)
    assert len(texts) == len(notebook["cells"])
    for cell in notebook["cells"]:
        text = texts[cell["id"]]
        assert not re.search(ABSOLUTE, text), f"absolute path in cell {cell['id']}"
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], f"outputs in cell {cell['id']}"
            assert cell["execution_count"] is None
            compile(re.sub(r"(?m)^%.*$", "", text), cell["id"], "exec")


@pytest.mark.slow
def test_notebook_runs_on_the_reference(tmp_path, monkeypatch):
    """From a clone's notebooks/ folder all cells run, draw the pictures and print the accuracy."""
    repository = tmp_path / "clone"
    for file in tracked_files():
        (repository / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, repository / file)
    monkeypatch.setenv("WALKTHROUGH_EPOCHS", "2")
    notebook, error = execute(repository)
    assert error is None, error
    assert "epoch 2.00/2" in printed(notebook, "train")
    for cell_id in "forward-pictures forward-rates curve chain-strip sample-grid".split():
        assert any("image/png" in out.get("data", {}) for out in outputs(notebook, cell_id))
    assert any("image/gif" in out.get("data", {}) for out in outputs(notebook, "chain-film"))
    assert "same seed, same pictures: True" in printed(notebook, "sample-seed")
    assert "another seed, same pictures: False" in printed(notebook, "sample-seed")
    assert re.search(r"^conditional accuracy [01]\.\d{3}$", printed(notebook, "measure"), re.M)


@pytest.mark.slow
def test_notebook_stops_at_the_first_stub(tmp_path):
    """On the starter the first stub ends the run with one sentence, its file and line."""
    starter = tmp_path / "starter"
    write_folder(build(ROOT, tracked_files()), starter)
    notebook, error = execute(starter)
    assert error is not None, "the starter has no stub"
    shown = next(o for o in outputs(notebook, "forward-pictures") if o["output_type"] == "error")
    sentence = shown["evalue"]
    assert shown["traceback"] == [sentence]
    words = r"q_sample is not implemented yet: code/libs/ddpm\.py, line (\d+)"
    place = re.fullmatch(words, sentence)
    assert place, sentence
    line = (
        (starter / "code/libs/ddpm.py").read_text(encoding="utf-8").splitlines()[int(place[1]) - 1]
    )
    assert "raise NotImplementedError" in line


@pytest.mark.slow
def test_script_that_fails_ends_its_cell_with_the_sentence(tmp_path, monkeypatch):
    """A part that only training reaches stops the training cell with the script's own sentence."""
    starter = tmp_path / "starter"
    write_folder(build(ROOT, tracked_files()), starter)
    fill_in(starter, "ddpm", {"q_sample"})
    notebook, error = execute(starter)
    assert error is not None, "the starter has no stub"
    shown = next(o for o in outputs(notebook, "train") if o["output_type"] == "error")
    sentence = r"compute_loss is not implemented yet: code/libs/ddpm\.py, line \d+"
    assert re.fullmatch(sentence, shown["evalue"]), shown["evalue"]
    assert shown["traceback"] == [shown["evalue"]]


@pytest.mark.slow
def test_toy_notebook_runs_on_the_reference(tmp_path):
    """All cells run and draw; the samplers have their orders, and the memoriser memorises."""
    repository = tmp_path / "clone"
    for file in tracked_files():
        (repository / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, repository / file)
    notebook, error = execute(repository, TOY)
    assert error is None, error
    for cell_id in "data field paths order compare memorise".split():
        assert any("image/png" in out.get("data", {}) for out in outputs(notebook, cell_id))
    assert "100% of the samples are training points" in printed(notebook, "memorise")
    found = re.findall(r"^(ddim|dpm\+\+|heun) .* ([\d.]+)$", printed(notebook, "order"), re.M)
    assert [name for name, _ in found] == ["ddim", "dpm++", "heun"]
    assert all(float(last) < 0.01 for _, last in found)


@pytest.mark.slow
def test_toy_notebook_goes_on_past_stubs(tmp_path):
    """On the starter what needs no student's code is drawn, and the rest is named."""
    starter = tmp_path / "starter"
    write_folder(build(ROOT, tracked_files()), starter)
    notebook, error = execute(starter, TOY)
    assert error is None, error
    for cell_id in ("data", "field"):
        assert any("image/png" in out.get("data", {}) for out in outputs(notebook, cell_id))
    for cell_id in ("paths", "order", "memorise"):
        assert "not yet: " in printed(notebook, cell_id)
