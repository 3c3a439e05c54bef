"""--similarity: copies are found under other names, the starter's lines do not count, and what
students wrote does nothing in the page."""

import csv
import re
import shutil
import sys

import pytest
from autograder.extras import similarity
from autograder.text import InputError

from helpers.files import ROOT
from helpers.scripts import run_script

STARTER = '''"""The diffusion process."""
import torch


class DDPM:
    """Shared by all teams, and long enough to be seen as copied if it counted."""

    def _extract(self, a, t, x_shape):
        batch_size = t.shape[0]
        out = a.to(t.device).gather(0, t).float()
        return out.reshape(batch_size, *((1,) * (len(x_shape) - 1)))

    def q_sample(self, x_start, t, noise=None):
        # BEGIN SOLUTION q_sample
        kept = self._extract(self.kept, t, x_start.shape)
        return kept * x_start + (1 - kept**2).sqrt() * noise
        # END SOLUTION

    def p_sample(self, x, t):
        raise NotImplementedError("write p_sample")
'''
# what students get has a stub in place of the solution
HANDED_OUT = re.sub(r" +# BEGIN SOLUTION.*END SOLUTION\n", "", STARTER, flags=re.S)
MINE = """
        coefficients = [self.first, self.second]
        for position, coefficient in enumerate(coefficients):
            x = x - coefficient[t] * self.model(x, t) / (position + 1)
        noise = torch.randn_like(x) if t > 0 else torch.zeros_like(x)
        return x.clamp(-1, 1) + self.variance[t].sqrt() * noise
"""
COPY = """
        # all our own work
        ks = [self.a, self.b]
        for i, k in enumerate(ks):
            y = y - k[s] * self.network(y, s) / (i + 1)
        z = torch.randn_like(y) if s > 0 else torch.zeros_like(y)
        return y.clamp(-1, 1) + self.v[s].sqrt() * z
"""
OTHER = """
        try:
            mean, spread = self.posterior(dict(sample=x, step=t, clip=True))
        except KeyError as error:
            raise ValueError(f"step {t}") from error
        while spread.dim() < 4:
            spread = spread[..., None]
        return torch.distributions.Normal(mean, spread).sample() if int(t) else mean
"""


@pytest.fixture
def kit(tmp_path):
    """The kit's code, with a ddpm.py of our own."""
    shutil.copytree(ROOT / "code" / "libs", tmp_path / "kit" / "libs")
    (tmp_path / "kit" / "libs" / "ddpm.py").write_text(STARTER, encoding="utf-8")
    return tmp_path / "kit"


@pytest.fixture
def hand_in(tmp_path):
    """Makes submissions: the starter's files with these bodies of p_sample, by team."""
    stub = '        raise NotImplementedError("write p_sample")\n'

    def make(**bodies):
        for name, body in bodies.items():
            libs = tmp_path / name / "code" / "libs"
            libs.mkdir(parents=True)
            (libs / "ddpm.py").write_text(HANDED_OUT.replace(stub, body or stub), encoding="utf-8")
        return [tmp_path / name for name in bodies]

    return make


def test_the_starters_lines_and_no_solutions_are_taken_out(kit, hand_in):
    """On the instructors' branch the kit holds solutions: whoever has them did not start there."""
    lines = similarity.starter_lines(kit)
    assert "batch_size = t.shape[0]" in lines
    assert not [line for line in lines if re.search(r"self\.kept|\bkept\*\*2", line)]
    own = similarity.own_lines(hand_in(a=MINE)[0] / "code", lines)
    mine = [line.strip() for line in MINE.splitlines() if line.strip()]
    assert [line.text.strip() for line in own] == mine
    assert own[-1].file == "libs/ddpm.py"
    file = (kit.parent / "a" / "code" / "libs" / "ddpm.py").read_text(encoding="utf-8").splitlines()
    assert file[own[-1].number - 1] == own[-1].text


def test_a_copy_under_other_names_is_found_and_nothing_else(tmp_path, kit, hand_in):
    """A copy with renamed variables is reported, and independent code is not."""
    pytest.importorskip("copydetect", reason="copydetect (optional) is not installed")
    teams = hand_in(a=MINE, b=COPY, c=OTHER, d="", e="")
    (tmp_path / "f.zip").write_bytes(b"no zip at all")
    pairs = similarity.write_similarity([*teams, tmp_path / "f.zip"], tmp_path / "out", kit)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b")]
    assert pairs[0].same_lines == 0, "every line has other names"
    assert min(pairs[0].share_of_first, pairs[0].share_of_second) > 0.7
    own = similarity.own_lines(teams[0] / "code", similarity.starter_lines(kit))
    matched = {own[position].text.strip() for position in pairs[0].matches[0]}
    assert "noise = torch.randn_like(x) if t > 0 else torch.zeros_like(x)" in matched
    with (tmp_path / "out" / "similarity.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["first"], row["second"]) for row in rows] == [("a", "b")]
    page = (tmp_path / "out" / "similarity.html").read_text(encoding="utf-8")
    assert "coefficients" in page
    assert "5 submissions compared" in page
    assert "could not be read: <bdi>f.zip</bdi>" in page
    assert "batch_size" not in page, "the starter's lines are in the page"


@pytest.mark.slow
def test_the_same_run_twice_says_the_same(tmp_path, kit, hand_in):
    """Python's hashes differ from run to run; the pairs must not, so no window is left to them."""
    pytest.importorskip("copydetect", reason="copydetect (optional) is not installed")
    hand_in(a=MINE, b=COPY)
    code = (
        "from pathlib import Path; from autograder.extras import similarity as s; "
        f"here = Path({str(tmp_path)!r}); starter = s.starter_lines(here / 'kit'); "
        "print(s.find_pairs({n: s.own_lines(here / n / 'code', starter) for n in 'ab'}))"
    )
    outputs = {run_script("-c", code, PYTHONHASHSEED=seed).stdout for seed in "12"}
    assert len(outputs) == 1
    assert "Pair(" in outputs.pop()


def test_hostile_code_is_shown_and_does_nothing(tmp_path, kit, hand_in):
    """Markup and escapes in students' code are shown as text in the report."""
    pytest.importorskip("copydetect", reason="copydetect (optional) is not installed")
    evil = MINE + '        return "</pre><script>top.ran = 1</script>\x1b[31m\u202e"\n'
    pairs = similarity.write_similarity(hand_in(a=evil, b=evil), tmp_path / "out", kit)
    assert len(pairs) == 1
    assert pairs[0].same_lines == len(evil.strip().splitlines())
    page = (tmp_path / "out" / "similarity.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not {"\x1b", "\u202e"} & set(page)


def test_odd_files_are_read(tmp_path, kit):
    """No Python at all, bytes that are not text, a link out, a file too large to look at."""
    folder = tmp_path / "odd"
    folder.mkdir()
    assert similarity.own_lines(folder, set()) == []
    (folder / "a.py").write_bytes(b"x = '\xff'\n\x00\n")
    (folder / "link.py").symlink_to(kit / "libs" / "ddpm.py")
    (folder / "z.py").write_text("yy = 1\n" * similarity.LONGEST, encoding="utf-8")
    lines = similarity.own_lines(folder, set())
    assert {line.file for line in lines} == {"a.py", "z.py"}
    assert sum(len(line.text) for line in lines) <= similarity.LONGEST


def test_without_copydetect_one_sentence_says_what_to_do(tmp_path, kit, hand_in, monkeypatch):
    """Without the package, one sentence says how to install it."""
    monkeypatch.setitem(sys.modules, "copydetect", None)
    with pytest.raises(InputError, match=r"needs copydetect.*requirements/grade\.txt"):
        similarity.write_similarity(hand_in(a=MINE), tmp_path / "out", kit)
    assert not (tmp_path / "out").exists()
