"""The notebooks: clean as stored, run to their ends, and say in one sentence what is missing."""

import json
import re
from pathlib import Path

import pytest
from instructor.cutting.cutter import build
from instructor.cutting.editions import find_edition, read_edition
from instructor.cutting.files import tracked_files
from instructor.cutting.regions import NO_PART
from instructor.release import write_folder

from helpers.files import ROOT
from helpers.starter import solve
from libs.runtime import cli, notebook
from libs.utils import NOT_ASKED

WALKTHROUGH, TOY = "notebooks/walkthrough.ipynb", "notebooks/toy.ipynb"
ABSOLUTE = r"(?<![\w.)])/(home|Users|work|tmp|content|root|mnt|opt|usr|etc|var)\b|\b[A-Z]:\\"


def sources(stored: dict) -> dict[str, str]:
    """The text of each cell by the cell's id."""
    return {cell["id"]: "".join(cell["source"]) for cell in stored["cells"]}


def execute(repository: Path, name: str, all_cells: bool = False) -> tuple[dict, Exception | None]:
    """Run a notebook in its folder; returns it with outputs, and the error it ended with.

    Args:
        all_cells: run those after an error, too, as someone does who runs one after the other.
    """
    reason = "runs the notebook: pip install -r requirements/dev.txt"
    nbformat = pytest.importorskip("nbformat", reason=reason)
    nbclient = pytest.importorskip("nbclient", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    path = repository / name
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    options = {"timeout": 300, "kernel_name": "python3", "allow_errors": all_cells}
    options["resources"] = {"metadata": {"path": str(path.parent)}}
    try:
        nbclient.NotebookClient(stored, **options).execute()
    except nbclient.exceptions.CellExecutionError as error:
        return stored, error
    return stored, None


def starter_of(edition: str, folder: Path) -> Path:
    """An edition's starter in a new folder."""
    chosen = read_edition(find_edition(edition))
    write_folder(build(ROOT, tracked_files(), edition=chosen), folder)
    return folder


def printed(run: dict, cell_id: str) -> str:
    """What a cell printed."""
    return "".join(out.get("text", "") for out in outputs(run, cell_id))


def outputs(run: dict, cell_id: str) -> list[dict]:
    """The outputs of a cell."""
    return next(cell["outputs"] for cell in run["cells"] if cell["id"] == cell_id)


def has_picture(run: dict, cell_id: str, kind: str = "png") -> bool:
    return any(f"image/{kind}" in out.get("data", {}) for out in outputs(run, cell_id))


def errors_of(run: dict) -> dict[str, str]:
    """The errors that cells show, each a single line, by the cells' ids."""
    cells = [cell for cell in run["cells"] if cell["cell_type"] == "code"]
    found = {c["id"]: o for c in cells for o in c["outputs"] if o["output_type"] == "error"}
    for cell_id, shown in found.items():
        assert shown["traceback"] == [shown["evalue"]], cell_id
        assert "\n" not in shown["evalue"], cell_id
    return {cell_id: shown["evalue"] for cell_id, shown in found.items()}


@pytest.mark.parametrize("name", [WALKTHROUGH, TOY])
def test_stored_notebook_is_clean(name):
    """The file parses as format 4.5 with unique ids, has no outputs and no absolute paths."""
    stored = json.loads((ROOT / name).read_text(encoding="utf-8"))
    assert (stored["nbformat"], stored["nbformat_minor"]) == (4, 5)
    assert stored["metadata"]["kernelspec"]["name"] == "python3"
    texts = sources(stored)
    assert len(texts) == len(stored["cells"])
    for cell in stored["cells"]:
        text = texts[cell["id"]]
        assert not re.search(ABSOLUTE, text), f"absolute path in cell {cell['id']}"
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [], f"outputs in cell {cell['id']}"
            assert cell["execution_count"] is None
            compile(re.sub(r"(?m)^%.*$", "", text), cell["id"], "exec")


# What cells show instead of tracebacks


class Shell:
    """As much of IPython's shell as `%load_ext` needs."""

    def set_custom_exc(self, kinds, handler):
        self.handler = handler

    def showtraceback(self, error, tb_offset=None):
        self.shown = "a traceback"

    def _showtraceback(self, kind, error, lines):
        self.shown = lines

    def run(self, cell: str):
        """What is shown of a cell that fails."""
        try:
            exec(compile(cell, "a cell", "exec"), {"__name__": "__main__"})
        except Exception as error:
            self.handler(self, type(error), error, error.__traceback__)
        return self.shown


@pytest.fixture
def shell() -> Shell:
    shell = Shell()
    notebook.load_ipython_extension(shell)
    return shell


def stub(words: str) -> str:
    """A cell that calls a stub, `denoise` in code/libs/edm.py."""
    file = str(cli.CODE / "libs" / "edm.py")
    text = f"def denoise():\n    raise NotImplementedError({words!r})"
    return f"exec(compile({text!r}, {file!r}, 'exec'))\ndenoise()"


def test_a_cell_that_fails_says_why_in_one_sentence(shell):
    """A stub, a part that nobody has to write, a cell that was left out, and a script's words."""
    assert shell.run(stub("Compute c_skip")) == [
        "denoise is not implemented yet: code/libs/edm.py, line 2"
    ]
    assert NOT_ASKED in NO_PART, "what the starter's code says"
    assert shell.run(stub(NOT_ASKED)) == [
        "error: denoise in code/libs/edm.py is not part of this homework"
    ]
    assert shell.run("RUN / 'model.pth'") == [
        "RUN is not there yet: run the cells above first, and see what they say"
    ]
    script = "import sys; sys.exit('there is no data')"
    cell = f"from libs.runtime.notebook import run_script\nrun_script('-c', {script!r})"
    assert shell.run(cell) == ["there is no data"]


def test_a_mistake_of_ours_in_a_cell_keeps_its_traceback(shell):
    """A sentence that blames nobody would hide it."""
    assert shell.run("[][0]") == "a traceback"
    file = str(cli.CODE / "libs" / "samplers" / "film.py")
    assert shell.run(f"exec(compile('nothing', {file!r}, 'exec'), {{}})") == "a traceback"


def test_cells_go_on_past_what_is_missing(capsys):
    """The sentence is printed, with what was tried; a mistake of ours still ends the cell."""
    with notebook.going_on("heun"):
        exec(stub("Compute c_skip"))
    assert capsys.readouterr().out == (
        "heun: denoise is not implemented yet: code/libs/edm.py, line 2\n"
    )
    with pytest.raises(IndexError), notebook.going_on():
        _ = [][0]


def test_an_interrupted_script_saves_and_its_cell_goes_on(monkeypatch, capfd):
    """The script alone gets the interrupt, and what it says is shown."""
    script = (
        "import signal, sys, time\n"  # background jobs, as this may be one, ignore interrupts
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        " print('ready')\n"
        " for _ in range(6000): time.sleep(0.1)\n"  # one long sleep may begin after the interrupt
        "except KeyboardInterrupt: sys.exit('stopped; go on with --resume')"
    )

    def interrupted(*words, **options):
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.print", interrupted)
    notebook.run_script("-c", script)
    assert capfd.readouterr().out == "stopped; go on with --resume\n"


# The notebooks as students run them


@pytest.mark.slow
@pytest.mark.parametrize("edition", ["fall2024", "fall2025"])
def test_walkthrough_runs_where_all_is_done(edition, tmp_path, monkeypatch):
    """All cells run, draw the pictures and print the accuracy."""
    starter = solve(starter_of(edition, tmp_path / "starter"), read_edition(find_edition(edition)))
    monkeypatch.setenv("WALKTHROUGH_EPOCHS", "2")
    run, error = execute(starter, WALKTHROUGH)
    assert error is None, error
    assert "epoch 2.00/2" in printed(run, "train")
    for cell_id in "forward-pictures forward-rates curve chain-strip sample-grid".split():
        assert has_picture(run, cell_id)
    assert has_picture(run, "chain-film", "gif")
    assert "same seed, same pictures: True" in printed(run, "sample-seed")
    assert "another seed, same pictures: False" in printed(run, "sample-seed")
    assert re.search(r"^conditional accuracy [01]\.\d{3}$", printed(run, "measure"), re.M)


@pytest.mark.slow
def test_walkthrough_of_the_untouched_starter(tmp_path):
    """Each cell that needs a part says which, with file and line, or sends back to the others."""
    starter = starter_of("fall2024", tmp_path / "starter")
    run, _ = execute(starter, WALKTHROUGH, all_cells=True)
    shown = errors_of(run)
    place = r"{} is not implemented yet: code/libs/ddpm\.py, line (\d+)"
    lines = (starter / "code/libs/ddpm.py").read_text(encoding="utf-8").splitlines()
    for cell_id, function in {"forward-pictures": "q_sample", "train": "compute_loss"}.items():
        found = re.fullmatch(place.format(function), shown.pop(cell_id))
        assert "raise NotImplementedError" in lines[int(found[1]) - 1]
    assert has_picture(run, "forward-rates")
    cells = ["curve", "chain-strip", "chain-film", "sample-grid", "sample-seed", "measure"]
    assert list(shown) == cells
    assert all("run the cells above first" in sentence for sentence in shown.values())


@pytest.mark.slow
@pytest.mark.parametrize("edition", ["reference", "fall2023"])
def test_toy_runs_where_all_is_done(edition, tmp_path):
    """All cells run and draw; the samplers have their orders, and the memoriser memorises.

    Where no part is about EDM, the sections that need it are missing.
    """
    place, is_reference = tmp_path / "clone", edition == "reference"
    if is_reference:
        write_folder({file: (ROOT / file).read_bytes() for file in tracked_files()}, place)
    else:
        solve(starter_of(edition, place), read_edition(find_edition(edition)))
    run, error = execute(place, TOY)
    assert error is None, error
    for cell_id in "data field compare".split():
        assert has_picture(run, cell_id)
    of_edm = {"paths", "order", "memorise"}
    assert of_edm & sources(run).keys() == (of_edm if is_reference else set())
    if is_reference:
        assert all(has_picture(run, cell_id) for cell_id in of_edm)
        assert "100% of the samples are training points" in printed(run, "memorise")
        found = re.findall(r"^(ddim|dpm\+\+|deis|heun) .* ([\d.]+)$", printed(run, "order"), re.M)
        assert [name for name, _ in found] == ["ddim", "dpm++", "deis", "heun"]
        assert all(float(last) < 0.01 for _, last in found)


@pytest.mark.slow
def test_toy_goes_on_past_stubs(tmp_path):
    """On the starter what needs no student's code is drawn, and the rest is named."""
    run, error = execute(starter_of("fall2024", tmp_path / "starter"), TOY)
    assert error is None, error
    for cell_id in ("data", "field"):
        assert has_picture(run, cell_id)
    for cell_id in ("paths", "order", "memorise"):
        assert "heun_step is not implemented yet: code/libs/edm.py, line" in printed(run, cell_id)
    assert not re.search(r"dpm|deis", printed(run, "order")), "students do not get them"
    assert "compute_loss is not implemented yet" in printed(run, "train")
    assert "run the cells above first" in printed(run, "compare")
