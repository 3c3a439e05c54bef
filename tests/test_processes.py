"""What processes share: without torchrun, on several machines, and what all must agree on."""

import atexit
import os
import sys

import pytest
import torch
import torch.distributed as dist

from libs.config import Config, DatasetConfig, load_config
from libs.data.batches import load_together
from libs.runtime.device import Precision
from libs.runtime.processes import Processes, ending_at_once
from libs.training import run_folder
from libs.utils import UserError


def test_single_process(monkeypatch):
    """Without torchrun there is one process, which has everything to itself."""
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with Processes.joined(torch.device("cpu")) as processes:
        assert processes == Processes(0, 1)
        assert processes.is_main
        assert torch.equal(processes.share(torch.arange(5)), torch.arange(5))
        assert processes.mean(torch.tensor(3.0)) == 3
        assert processes.same("x") == "x"
        processes.wait()


@pytest.mark.parametrize(
    ("rank", "local_rank", "before", "after"), [(0, 0, 0, 2), (1, 1, 2, 0), (4, 0, 1, 1)]
)
def test_files_are_written_by_one_process_of_each_machine(
    monkeypatch, rank, local_rank, before, after
):
    """The first process goes first, then the first of each other machine, then all others."""
    waits = []
    monkeypatch.setattr(Processes, "wait", lambda self: waits.append(None))
    with Processes(rank, 8, local_rank, machines=2).in_turn():
        assert len(waits) == before
    assert len(waits) == before + after


def test_the_first_process_is_asked(monkeypatch):
    """Its answer, or the mistake that it found, reaches all; no other looks for itself."""
    sent = []
    monkeypatch.setattr(dist, "broadcast_object_list", lambda values: sent.append(values[0]))
    assert Processes(0, 2).ask_first(lambda: "folder") == "folder"

    def refuse():
        raise UserError("there is no folder")

    with pytest.raises(UserError, match="there is no folder"):
        Processes(0, 2).ask_first(refuse)

    def receive(values):
        values[0] = sent.pop(0)

    monkeypatch.setattr(dist, "broadcast_object_list", receive)
    assert Processes(1, 2).ask_first(lambda: pytest.fail("asked")) == "folder"
    with pytest.raises(UserError, match="there is no folder"):
        Processes(1, 2).ask_first(lambda: pytest.fail("asked"))
    with pytest.raises(UserError, match="there is no folder"):
        Processes().ask_first(refuse)


@pytest.fixture
def config(tmp_path) -> Config:
    return load_config("configs/digits.yaml", [f"output_folder={tmp_path}/logs"])


@pytest.fixture
def other_machine(monkeypatch):
    """A function that has another process, on the machine "there", say these facts."""

    def answer(**facts):
        def gather(everyone, mine):
            host, known = mine
            everyone[:] = [(host, known), ("there", known | facts)]

        monkeypatch.setattr(dist, "all_gather_object", gather)

    return answer


def test_machines_with_different_configs_are_refused(config, other_machine):
    """They would wait for each other forever; paths, devices and workers are each one's own."""
    fp32, two = Precision("fp32", torch.device("cpu")), Processes(0, 2, machines=2)
    other_machine()
    run_folder.check_same_everywhere(config, fp32, two)
    keys = set()
    two_keys = two.must_agree
    two.must_agree = lambda facts, advice: (keys.update(facts), two_keys(facts, advice))
    run_folder.check_same_everywhere(config, fp32, two)
    assert {"'train_cfg.lr'", "'model.dim'", "torch", "the number format"} <= keys
    assert not {"'output_folder'", "'devices'", "'loader.num_workers'"} & keys
    other_machine(**{"'train_cfg.lr'": 0.5})
    words = r"'train_cfg\.lr' is 0.004 in process 0 .*0\.5 in process 1 on there: start all"
    with pytest.raises(UserError, match=words):
        run_folder.check_same_everywhere(config, fp32, two)
    run_folder.check_same_everywhere(config, fp32, Processes())


@pytest.mark.parametrize(("here", "anywhere"), [("fp32", True), ("bf16", True), ("bf16", False)])
def test_processes_take_the_format_that_suits_all(config, other_machine, here, anywhere):
    """Each measures the speed of bf16, and one that finds it slow decides for all."""
    other_machine()
    precision, two = Precision(here, torch.device("cpu"), True), Processes(0, 2, machines=2)
    two.any = lambda flag, device: flag or anywhere
    run_folder.check_same_everywhere(config, precision, two)
    precision.agree(two)
    assert precision.name == ("fp32" if anywhere else "bf16")
    other_machine(**{"the number format": "fp32"})
    with pytest.raises(UserError, match="the number format is 'whichever is faster' in process 0"):
        run_folder.check_same_everywhere(config, precision, two)


def test_machines_with_different_images_are_refused(other_machine):
    """A batch is shared by numbers of images, which must mean the same everywhere."""
    data, shape, two = DatasetConfig(), [1, 8, 8], Processes(0, 2, machines=2)
    two.wait = lambda: None
    other_machine()
    assert len(load_together(data, shape, two).train) == 1498
    for name, value in (("number of train images", 7), ("hash of the train images' labels", "x")):
        other_machine(**{f"the {name}": value})
        with pytest.raises(UserError, match=f"the {name} is .*all machines need the same images"):
            load_together(data, shape, two)


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (lambda: None, 0, ""),
        (lambda: sys.exit(), 0, ""),
        (lambda: sys.exit(2), 2, ""),
        (lambda: sys.exit("no"), 1, "no\n"),
        (lambda: [][0], 1, "IndexError: list index out of range\n"),
    ],
)
def test_a_process_ends_at_once_as_python_would_end_it(monkeypatch, capsys, end, code, said):
    """The same exit code and words as Python's own end, and what was left to do at exit is done."""
    steps = []
    monkeypatch.setattr(atexit, "_run_exitfuncs", lambda: steps.append("at exit"))
    monkeypatch.setattr(os, "_exit", steps.append)
    with ending_at_once():
        end()
    assert steps == ["at exit", code]
    assert capsys.readouterr().err.endswith(said)
