"""The scenarios: they build, they say what they are, and what they say is true."""

import ast
import types
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import torch
import yaml
import zip_submission
from instructor.cutting.regions import is_marker
from instructor.mutants.probes import PROBES, differences, imported, observe
from instructor.submissions import overlay
from instructor.submissions.catalogue import PARTS, ScenarioError, read_blocks

from helpers.files import ROOT
from helpers.submissions import libs_of

SCENARIOS = {  # those of earlier editions are graded in test_editions.py
    kind: [s for s in overlay.scenarios(kind) if not overlay.is_edition(s.base)]
    for kind in ("wrong", "right")
}
WRONG, RIGHT = SCENARIOS["wrong"], SCENARIOS["right"]
# One fault per part, and the answers furthest from the reference: a second each. The slow tests
# look at all others.
EVERYDAY = (
    "unet_cat_in_the_other_order q_sample_t_counted_from_one p_sample_recip_on_x_only "
    "loop_index_one_higher loss_weighted_by_t latent_normalised ddim_loop_one_noise "
    "fid_statistics_biased edm_heun_slopes_added sd_walk_ends_at_one "
    "fm_loss_summed fm_step_to_t_next dit_block_gates_the_tokens "
    "right_earlier_edition right_loop_step_written_out right_sd_names_by_counting"
).split()


def load(folder: Path) -> types.SimpleNamespace:
    """Import a submission's own libs, whatever libs this process has imported before."""
    with libs_of(folder / "code"):
        libs = imported()
        assert Path(libs.ddpm.__file__).is_relative_to(folder)
        return libs


def unchanged(base: str) -> overlay.Scenario:
    """A scenario without a fault of its own."""
    return overlay.Scenario("right", "unchanged", "The base.", base)


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> dict:
    """What the reference shows in every part."""
    folder = tmp_path_factory.mktemp("reference")
    libs = load(unchanged("reference").build(folder))
    seen = {part: observe(libs, part) for part in PROBES}
    for part, observations in seen.items():
        assert "raised" not in observations, (part, observations)
    return seen


def faulty_parts(scenario, folder: Path, expected: dict) -> dict[str, list[str]]:
    """The parts in which a scenario differs from the reference, and in what."""
    libs = load(scenario.build(folder))
    found = {}
    for part in PROBES:
        # a scenario may leave these settings switched over
        with torch.enable_grad():
            found[part] = differences(observe(libs, part), expected[part])
        torch.set_default_dtype(torch.float32)
    return {part: names for part, names in found.items() if names}


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_scenarios_are_what_they_say(name, tmp_path, expected):
    """A fault shows in the parts it names and in no other; a right answer shows none."""
    (scenario,) = [s for s in WRONG + RIGHT if s.name == name]
    stated = {scenario.fails, *scenario.may_fail} - {""}
    assert set(faulty_parts(scenario, tmp_path, expected)) == stated


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_wrong_scenarios_fail_what_they_say(part, tmp_path, expected):
    """Each wrong scenario shows in the part it must fail, in those it may, and in no other.

    Those that depend on a device, a mode, or a batch that no probe has do not show here; only the
    scorecard proves them.
    """
    untrue = {}
    for scenario in [s for s in WRONG if s.fails == part]:
        found = faulty_parts(scenario, tmp_path, expected)
        stated = {scenario.fails, *scenario.may_fail}
        true = set(found) < stated if scenario.judge_only else set(found) == stated
        if not true:
            untrue[scenario.name] = found
    assert not untrue


@pytest.mark.slow
def test_right_scenarios_equal_the_reference(tmp_path, expected):
    """No right scenario differs from the reference in anything that is judged.

    Those that ask the network in pieces differ in their calls; only the scorecard proves them.
    """
    found = {s.name: faulty_parts(s, tmp_path, expected) for s in RIGHT}
    differing = {name: parts for name, parts in found.items() if parts}
    assert set(differing) == {s.name for s in RIGHT if s.judge_only}, differing


def test_there_are_enough():
    """The numbers of the requirement, with every part covered many times."""
    assert len(WRONG) >= 85
    assert len(RIGHT) >= 27
    assert min(Counter(s.fails for s in WRONG)[part] for part in PARTS) >= 10


def test_names_are_unique_and_speak():
    """No two scenarios of any kind share a name; each says in one sentence what it is."""
    names = [s.name for kind in overlay.KINDS for s in overlay.scenarios(kind)]
    assert not [name for name, times in Counter(names).items() if times > 1]
    for scenario in WRONG + RIGHT:
        assert scenario.about.endswith("."), scenario.name
        assert not scenario.look, scenario.name  # only test_editions.py looks for these words


def test_wrong_scenarios_are_in_the_catalogue_of_their_part():
    """A wrong scenario is in the file of the part that it fails."""
    assert not [s.name for s in overlay.scenarios("wrong") if s.topic != s.fails]


def test_expectations_are_of_this_grader():
    """Parts are those of the rubric, hints those of the hint file; right scenarios expect none."""
    hints = yaml.safe_load((ROOT / "autograder" / "hints.yaml").read_text(encoding="utf-8"))
    assert not {s.name: s.hint for s in WRONG if s.hint not in hints}
    assert {s.fails for s in WRONG} == set(PARTS)
    assert {part for s in WRONG for part in s.may_fail} <= {"latent"}
    assert not [s.name for s in RIGHT if s.fails or s.may_fail or s.hint]


def test_scenarios_change_code_and_parse():
    """All Python parses, no marker of a solution is left, and something differs from the base."""
    base = unchanged("reference").files()
    for scenario in WRONG + RIGHT:
        changed = {n: c for n, c in scenario.files().items() if base.get(n) != c}
        assert changed, scenario.name
        for name, content in changed.items():
            text = content.decode("utf-8")
            ast.parse(text, f"{scenario.name}/{name}")
            assert not any(map(is_marker, text.splitlines())), scenario.name


def test_wrong_scenarios_have_one_fault_each():
    """A wrong scenario replaces one function only, and no two are the same."""
    seen = {}
    for scenario in WRONG:
        ((place, code),) = [*scenario.places.items(), *scenario.own.items()]
        text = place, ast.dump(ast.parse(code))
        assert text not in seen, (scenario.name, seen.get(text))
        seen[text] = scenario.name


@pytest.mark.parametrize("base", ["reference", "starter"])
def test_base_is_a_submission_that_passes_the_packing_check(base, tmp_path):
    """What is built has the layout of a hand-in: the packing script finds no problem in it."""
    folder = unchanged(base).build(tmp_path)
    survey = zip_submission.Survey(folder, tmp_path / "out.zip")
    assert zip_submission.find_problems(survey, None) == []
    assert sorted(path.name for path in folder.iterdir()) == (
        ["code", "configs", "results", "team.csv", "writeup"]
    )
    stubs = zip_submission.stubs(survey.trees)
    assert len(stubs) == (0 if base == "reference" else 19)


def test_zip_is_deterministic_and_holds_what_build_writes(tmp_path):
    """The same bytes each time, and the same files as the folder."""
    scenario = RIGHT[0]
    first, second = (scenario.zip_to(tmp_path / f"{i}.zip").read_bytes() for i in (1, 2))
    assert first == second
    folder = scenario.build(tmp_path)
    written = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    with zipfile.ZipFile(tmp_path / "1.zip") as archive:
        assert set(archive.namelist()) == written
        for name in written:
            assert archive.read(name) == (folder / name).read_bytes()


def read_scenario(folder: Path, kind: str, text: str) -> overlay.Scenario:
    """The scenario of a catalogue of this kind, which holds this one block."""
    file = folder / kind / "example.py"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    (block,) = read_blocks(file)
    return overlay.scenario_of(block)


def test_code_goes_where_it_belongs(tmp_path):
    """A method, the decoder, lines after the imports and at the end, a file, a removed folder."""
    text = """\
# ==== example
# about: An example.
# base: starter
# remove: configs
# earns: q_sample
# in: ddpm.p_sample
def p_sample(self, x, label, t, t_index):
    return x

# in: ddpm.top
TOP = 1

# in: ddim.ddim_step
def ddim_step(x, *rest):
    return x

# in: edm.denoise
def denoise(self, x, label, sigma):
    return x

# in: edm.heun_step
def heun_step(denoise, x, *rest):
    return x

# in: stable_diffusion.forward
def forward(self, x, context, time):
    return x

# in: stable_diffusion.rename
def rename(name, *rest):
    return name

# in: fid.end
END = 4

# in: ddpm.end
END = 2

# in: unet.decoder
for level in self.decoder:
    x = level[0](x, t_emb)

# file: code/libs/extra.py
EXTRA = 3

# file: conftest.py
collect_ignore = []
"""
    scenario = read_scenario(tmp_path, "hostile", text)
    files = {name: content.decode("latin-1") for name, content in scenario.files().items()}

    assert scenario.earns == ["q_sample"]
    assert files["code/libs/extra.py"] == "EXTRA = 3\n"
    assert files["conftest.py"] == "collect_ignore = []\n"
    assert not [name for name in files if name.startswith("configs/")]
    ddpm, unet = files["code/libs/ddpm.py"], files["code/libs/unet.py"]
    ddim, fid = files["code/libs/ddim.py"], files["code/libs/metrics/fid.py"]
    assert "\ndef ddim_step(x, *rest):\n    return x\n" in ddim
    assert ddim.count("NotImplementedError") == 1  # sample_ddim's
    edm = files["code/libs/edm.py"]
    assert "\n    def denoise(self, x, label, sigma):\n        return x\n" in edm
    assert "\ndef heun_step(denoise, x, *rest):\n    return x\n" in edm
    assert edm.count("NotImplementedError") == 1  # compute_loss's
    sd = files["code/libs/stable_diffusion.py"]
    assert "\n    def forward(self, x, context, time):\n        return x\n" in sd
    assert "\ndef rename(name, *rest):\n    return name\n" in sd
    assert sd.count("NotImplementedError") == 2  # of guided_eps and sample_guided
    assert fid.endswith("\nEND = 4\n")
    nodes = ast.parse(ddpm).body
    (group,) = [node for node in nodes if isinstance(node, ast.ClassDef)]
    methods = {m.name: ast.unparse(m) for m in group.body if isinstance(m, ast.FunctionDef)}
    assert methods["p_sample"] == "def p_sample(self, x, label, t, t_index):\n    return x"
    assert "NotImplementedError" in methods["q_sample"]  # the other parts stay stubs
    assert ast.unparse(nodes[-1]) == "END = 2"
    assert ast.unparse(nodes[nodes.index(group) - 1]) == "TOP = 1"
    assert "        for level in self.decoder:\n            x = level[0](x, t_emb)\n" in unet
    assert "NotImplementedError" not in unet


FAULT = "# about: A.\n# fails: unet\n# hint: raises\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# about: A.\n# fails: unet\n", "line 1: 'example' must say under 'fails' and 'hint'"),
        (FAULT + "# base: main\n", "line 5: 'example' has no base 'main'; choose one of reference"),
        (FAULT + "# in: ddmp.q_sample\n", "line 5: 'example' has no place 'ddmp.q_sample'"),
        (FAULT + "# in: ddpm\n", "line 5: 'example' has no place 'ddpm'"),
        (FAULT + "# in: ddpm.sample\n", "no method sample"),
        (FAULT + "# in: ddpm.decoder\n", "no method decoder"),
        (FAULT + "# in: ddim.step\n", "no function step"),
        (FAULT + "# base: lone_files\n# in: ddim.ddim_step\n", "lone_files has no code/libs/ddim"),
        (FAULT + "# remove: cod\n", "no cod to remove"),
    ],
)
def test_scenarios_that_fit_no_base_are_refused(text, words, tmp_path):
    """A mistake in a scenario is said in one sentence that names it."""
    with pytest.raises(ScenarioError, match="example") as error:
        read_scenario(tmp_path, "wrong", f"# ==== example\n{text}").files()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_names_are_unique_across_catalogues(tmp_path, monkeypatch):
    """Two scenarios of one kind cannot have the same name, even in different files."""
    (tmp_path / "right").mkdir()
    for name in ("a.py", "b.py"):
        (tmp_path / "right" / name).write_text("# ==== right_one\n# about: A.\n")
    monkeypatch.setattr(overlay, "SCENARIOS", tmp_path)
    with pytest.raises(ScenarioError, match=r"b\.py, line 1: 'right_one' is .* in a\.py$"):
        overlay.scenarios.__wrapped__("right")
