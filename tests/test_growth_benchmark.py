"""How cost grows: the fit, the counted work against closed forms, and what the script writes."""

import json
import math
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import growth
from counting import count_flops
from helpers.scripts import run_script


@pytest.mark.parametrize("order", [0, 1, 2.5])
def test_fit_recovers_the_order(order):
    """The order of synthetic times is found, whatever the small sizes cost on top."""
    sizes = (1, 3, 10, 20, 50, 100)
    seconds = [7 * size**order + (5 if size < 20 else 0) for size in sizes]
    assert growth.fit_order(sizes, seconds) == pytest.approx(order, abs=1e-9)
    assert growth.fit_order(sizes[-2:], seconds[-2:]) == pytest.approx(order, abs=1e-9)


def test_fit_stays_below_the_highest_power():
    """Smaller powers beside the highest one lower the order, so FLOPs need no slack."""
    sizes = (8, 16, 24, 32, 48, 64)
    assert 2 < growth.fit_order(sizes, [n**4 + 500 * n**2 + 10**5 for n in sizes]) < 4


def test_verdict():
    """Seconds may exceed the expected order a little, FLOPs not at all."""
    assert growth.judge(2, 2.29, 2.0) == growth.judge(1, 1.2, None) == "as expected"
    assert growth.judge(2, 2.31, 1.9) == growth.judge(2, 1.5, 2.01) == "above the expected order"


def test_work_of_a_conv_net_grows_with_its_batch():
    """Twice the images are twice the work, exactly; and that work is the closed form's."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU(), nn.Conv2d(8, 4, 1))
    sizes = (1, 2, 3, 5, 8)
    images = [torch.rand(size, 3, 6, 7) for size in sizes]
    flops = [count_flops(lambda x=x: net(x)) for x in images]
    assert flops == [2 * size * 42 * (9 * 3 * 8 + 8 * 4) for size in sizes]
    assert growth.fit_order(sizes, flops) == pytest.approx(1, abs=1e-6)


def test_attention_on_the_cpu_is_counted():
    """Two products of matrices forward, five backward, which computes the scores again."""
    q = torch.rand(2, 4, 10, 8, requires_grad=True)
    k, v = torch.rand(2, 2, 4, 14, 8, requires_grad=True).unbind()
    product = 2 * math.prod((2, 4, 10, 14, 8))
    with torch.no_grad():
        assert count_flops(lambda: F.scaled_dot_product_attention(q, k, v)) == 2 * product

    def there_and_back():
        F.scaled_dot_product_attention(q, k, v).sum().backward()

    assert count_flops(there_and_back) == 7 * product


def assert_exact(found):
    """The counted work, which has no noise, grows as the arithmetic says."""
    exact = {(g["work"], g["quantity"]): g["flop_order"] for g in found}
    for g in found:
        assert g["flop_order"] is None or g["flop_order"] <= g["expected"] + 1e-6, g
    assert exact["training step", "batch"] == exact["sampling step", "batch"] == pytest.approx(1)
    assert exact["whole chain", "T"] == pytest.approx(1)
    return exact


@pytest.mark.slow
def test_results_are_written(monkeypatch, tmp_path, capsys):
    """Each kind of work has its line, its facts in JSON, and its place in a plot."""
    rows = [row for row in growth.OF_STEPS if row[0] == "batch"]
    monkeypatch.setattr(growth, "OF_STEPS", rows)
    others = [("whole chain", "T", 1, (2, 4, 8), growth.whole_chain), *growth.OTHERS[1:]]
    monkeypatch.setattr(growth, "OTHERS", others)
    args = ["--sizes", "2", "--rounds", "1", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["growth.py", *args, "--json", str(tmp_path / "facts.json")])
    growth.main()
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    assert len(found) == 2 + len(others)
    for g in found:
        assert f"{g['work']} against {g['quantity']}: order {g['order']:.2f}" in printed
        assert len(g["sizes"]) == len(g["seconds"]) == len(g["flops"]) == 2
        assert min(g["seconds"]) > 0
    assert_exact(found)
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_all_work_grows_as_expected(tmp_path):
    """The script as users call it: no counted order exceeds the expected one."""
    args = ["--sizes", 3, "--rounds", 1, "--out", tmp_path]
    process = run_script("benchmarks/growth.py", *args, timeout=400)
    assert process.returncode == 0, process.stderr
    exact = assert_exact(json.loads((tmp_path / "growth.json").read_text(encoding="utf-8")))
    assert exact["training step", "T"] == exact["sampling step", "T"] == 0
