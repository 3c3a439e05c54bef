"""Real processes: killed runs, several processes, full disks, signals."""

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

from helpers.captioned import RUN, write_pictures
from helpers.files import ROOT, find_asset
from helpers.scripts import ENVIRONMENT, assert_refused, run_script
from libs.tiny_autoencoder import TAESD

pytestmark = pytest.mark.slow
LIMIT = 900  # seconds, to end what hangs: a busy machine may be many times slower than a quiet one
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]


def load(path):
    return torch.load(path, weights_only=True)


def assert_same_training(one, two):
    """Two checkpoints hold bit-equal weights, averages and optimizer states."""
    for section in ("model", ("ema", "average")):
        a, b = (
            (c[section] if isinstance(section, str) else c["ema"]["average"]) for c in (one, two)
        )
        for key in a:
            assert torch.equal(a[key], b[key]), key
    for index, state in one["optimizer"]["state"].items():
        for key, value in state.items():
            assert torch.equal(value, two["optimizer"]["state"][index][key]), (index, key)


def start(args, cwd=ROOT, **kwargs):
    return subprocess.Popen(
        [sys.executable, *args],
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        **kwargs,
    )


def wait_for(path, process):
    """Wait until a file is there, while the process runs."""
    end = time.monotonic() + LIMIT
    while not path.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, f"{path} was not written"
        time.sleep(0.002)


@pytest.mark.parametrize("first", ["step-00000014.pth", "epoch-0002.pth"])
def test_killed_run_resumes_bit_exactly(digits_args, tmp_path, first):
    """SIGKILL, in mid-epoch or after an epoch, then --resume: the weights of an unbroken run."""
    args = [*digits_args, "--set", "train_cfg.max_steps=60", "-c", "2"]
    assert run_script(*args, "--output", "straight").returncode == 0

    killed = tmp_path / "logs" / "digits_killed"
    often = ["--set", "train_cfg.ckpt_steps=7"] if first.startswith("step") else []
    process = start([*args, *often, "--output", "killed"])
    wait_for(killed / first, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (killed / "model_final.pth").exists(), "the run ended before it was killed"

    resumed = run_script(*args, *often, "--resume", killed)
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from" in resumed.stdout
    straight = tmp_path / "logs" / "digits_straight"
    final = [load(folder / "model_final.pth") for folder in (straight, killed)]
    assert_same_training(*final)
    assert final[0]["history"] == final[1]["history"]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_train_like_one(digits_args, tmp_path, accumulate):
    """Two gloo processes end with the weights of one process with the same global batch."""
    args = [*digits_args, "--set", "train_cfg.max_steps=15", "--set", "loader.batch_size=64"]
    args += ["--set", f"train_cfg.accumulate={accumulate}", "--device", "cpu"]
    args += ["--set", "train_cfg.betas=[0.9,0.999]"]  # makes less of differences in rounding
    assert run_script(*args, "--output", "one").returncode == 0
    two = run_script(*TORCHRUN, *args, "--output", "two", timeout=LIMIT)
    assert two.returncode == 0, two.stderr
    assert "2 processes" in two.stdout
    finals = [load(tmp_path / "logs" / f"digits_{n}" / "model_final.pth") for n in ("one", "two")]
    for key, value in finals[0]["model"].items():
        torch.testing.assert_close(value, finals[1]["model"][key], atol=1e-4, rtol=1e-3)
    one, two = (torch.tensor(f["epoch_losses"]) for f in finals)
    torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-3)


@pytest.fixture
def machines(tmp_path):
    """Two working copies that share no folder, as two machines have them."""
    places = tmp_path / "first", tmp_path / "second"
    for place in places:
        for part in ("code", "configs"):
            shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
    return places


def on_two_machines(machines, *args):
    """Run a script under a launcher in each working copy; returns what each has printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc_per_node", "1"]
    launcher += ["--rdzv_endpoint", f"127.0.0.1:{port}", "--node_rank"]
    started = [
        start([*launcher, str(rank), *map(str, args)], cwd=place)
        for rank, place in enumerate(machines)
    ]
    outputs = [process.communicate(timeout=4 * LIMIT)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(outputs)
    return outputs


def test_two_machines_train_like_one(machines, tmp_path):
    """Two machines without a common folder leave one run, of the weights of one process; each
    encodes its images for itself, and only the first needs the run's folder to go on."""
    torch.manual_seed(0)
    vae = TAESD()
    settings = ["model.dim=8", "model.timesteps=10", "train_cfg.betas=[0.9,0.999]"]
    settings += ["model.use_vae=true", "model.img_shape=[3,32,32]", "dataset.latent_cache=true"]
    settings += [
        "dataset.test_split=null",
        "dataset.subset=0.03",
        "dataset.val_fraction=0.2",
        "loader.batch_size=16",
    ]
    settings += ["train_cfg.num_eval_samples=1", "train_cfg.eval_every=1"]
    for part in ("encoder", "decoder"):
        torch.save(getattr(vae, part).state_dict(), tmp_path / f"{part}.pth")
        settings.append(f"model.vae_{part}_weights={tmp_path / part}.pth")
    settings = [part for setting in settings for part in ("--set", setting)]
    args = ["code/train.py", "configs/digits.yaml", "--device", "cpu", *settings]
    steps = "--set", "train_cfg.max_steps=6"
    here = "--set", f"output_folder={tmp_path}", "--output", "alone"
    alone = run_script(*args, *steps, *here, timeout=4 * LIMIT)
    assert alone.returncode == 0, alone.stderr

    outputs = on_two_machines(machines, *args, "--set", "train_cfg.max_steps=3")
    assert "2 processes" in outputs[0]
    first, second = (place / "logs" for place in machines)
    (folder,) = first.glob("digits_*")  # named by the first machine's clock
    outputs = on_two_machines(machines, *args, *steps, "--resume", f"logs/{folder.name}")
    assert "going on from" in outputs[0]
    assert "epoch" not in outputs[1]
    assert {p.name for p in second.iterdir()} == {"latent_cache"}
    assert {p.suffix for p in (second / "latent_cache").iterdir()} == {".pt"}
    assert {p.name for p in folder.iterdir()} >= {"sample-3.png", "loss_history.json", "best.pth"}
    one, two = (load(f / "model_final.pth") for f in (tmp_path / "digits_alone", folder))
    assert one["step"] == two["step"] == 6
    for key, value in one["model"].items():
        torch.testing.assert_close(value, two["model"][key], atol=1e-4, rtol=1e-3)
    for name in ("train_loss", "val_loss"):
        losses = [torch.tensor(state["history"][name][-1]) for state in (one, two)]
        torch.testing.assert_close(*losses, atol=1e-4, rtol=1e-3)


def test_two_machines_train_the_stages_of_an_autoencoder(machines):
    """The second stage starts from the first one's weights on both, and one alone has the file."""
    settings = ["autoencoder.ch=8", "autoencoder.ch_mult=[1,2]", "discriminator.dim=8"]
    settings += ["discriminator.num_layers=1", "dataset.subset=0.05", "loader.batch_size=20"]
    settings += ["features=null", "train_cfg.max_steps=2"]
    settings += ["stages=[{epochs: 1, resolution: 8}, {epochs: 1, resolution: 8}]"]
    settings = [part for setting in settings for part in ("--set", setting)]
    args = ["code/train_autoencoder.py", "configs/digits_autoencoder.yaml", "--device", "cpu"]
    outputs = on_two_machines(machines, *args, *settings, "--output", "own")
    assert "stage 2, after" in outputs[0]
    folder = machines[0] / "logs" / "digits_autoencoder_own"
    stages = [load(folder / f"stage-{n}" / "model_final.pth") for n in (1, 2)]
    moved = [
        (stages[0]["model"][key] - value).abs().max().item()
        for key, value in stages[1]["model"].items()
    ]
    assert 0 < max(moved) < 0.05  # two steps further, not from new weights
    assert not list(machines[1].rglob("*.pth"))


def test_captions_in_two_processes(tmp_path):
    """Captions are drawn, dropped and encoded alike by two processes, each for its own images: they
    end with the weights, the losses and the text encoder of one."""
    pytest.importorskip("transformers")
    data = write_pictures(tmp_path / "data" / "train").parent
    settings = [f"dataset.data_folder={data}", f"output_folder={tmp_path / 'logs'}"]
    settings += [f"text.vocabulary={find_asset('pretrained/clip_bpe')}", "dataset.test_split=null"]
    settings += ["loader.batch_size=2", "train_cfg.num_eval_samples=1"]
    overrides = [part for setting in [*RUN, *settings] for part in ("--set", setting)]
    args = ["code/train.py", "configs/digits.yaml", *overrides, "--device", "cpu"]
    finals = []
    for name, launcher in (("one", []), ("two", TORCHRUN)):
        process = run_script(*launcher, *args, "--output", name, timeout=LIMIT)
        assert process.returncode == 0, process.stderr
        finals.append(load(tmp_path / "logs" / f"digits_{name}" / "model_final.pth"))
        for cache in (tmp_path / "logs" / "text_cache").iterdir():
            cache.unlink()  # each run encodes for itself
    assert "2 processes" in process.stdout
    one, two = finals
    for key, value in one["model"].items():
        torch.testing.assert_close(value, two["model"][key], atol=1e-4, rtol=1e-3)
    losses = [torch.tensor(final["history"]["train_loss"]) for final in finals]
    assert len(losses[0]) == 4
    torch.testing.assert_close(*losses, atol=1e-4, rtol=1e-3)
    assert one["text"]["hash"] == two["text"]["hash"]
    assert one["classes"] == two["classes"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_run_saves_first(digits_args, tmp_path, number):
    """Ctrl-C and SIGTERM finish the step, save, and say how to go on; resuming is exact."""
    args = [*digits_args, "--set", "train_cfg.ckpt_steps=5", "-p", "1"]
    process = start([*args, "--output", "stopped"])
    folder = tmp_path / "logs" / "digits_stopped"
    wait_for(folder / "step-00000005.pth", process)
    process.send_signal(number)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 130, output
    assert "stopped; go on with --resume" in output
    assert "Traceback" not in output
    newest = max(folder.glob("*.pth"), key=lambda p: p.stat().st_mtime_ns)
    last = load(newest)["step"]
    assert f"step {last} " in output
    resumed = run_script(*args, "--set", f"train_cfg.max_steps={last + 3}", "--resume", folder)
    assert resumed.returncode == 0, resumed.stderr
    assert load(folder / "model_final.pth")["step"] == last + 3


def test_full_disk_keeps_the_previous_checkpoint(digits_args, tmp_path):
    """A checkpoint that does not fit is refused with a sentence, the earlier one stays whole."""
    args = [*digits_args, "--set", "model.dim=32"]  # larger than what is tried before the work
    first = [*args, "--set", "train_cfg.max_steps=3", "--output", "full"]
    assert run_script(*first).returncode == 0
    final = tmp_path / "logs" / "digits_full" / "model_final.pth"
    size = final.stat().st_size

    def limit_file_size():  # writes beyond it fail as they do on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, size - 1))

    process = start(
        [*args, "--set", "train_cfg.max_steps=6", "--resume", str(final)],
        preexec_fn=limit_file_size,
    )
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 2, output
    assert "could not save" in output
    assert "Traceback" not in output
    assert load(final)["step"] == 3
    assert [p.name for p in final.parent.glob("*.pth*")] == ["model_final.pth"]


def test_compiled_network_trains_alike(digits_args, tmp_path):
    """`compile: true` gives the losses of the plain network, and the same checkpoint names."""
    finals = []
    for name, extra in (("plain", []), ("compiled", ["--set", "train_cfg.compile=true"])):
        args = [*digits_args, "--set", "train_cfg.max_steps=5", *extra, "--output", name]
        process = run_script(*args, timeout=4 * LIMIT)
        assert process.returncode == 0, process.stderr
        finals.append(load(tmp_path / "logs" / f"digits_{name}" / "model_final.pth"))
    losses = [torch.tensor(f["epoch_losses"]) for f in finals]
    torch.testing.assert_close(*losses, atol=1e-3, rtol=1e-3)
    assert finals[0]["model"].keys() == finals[1]["model"].keys()


def test_same_run_from_root_and_from_code(tmp_path):
    """`cd code && python train.py` and `python code/train.py` from the root are the same run."""
    short = ["configs/digits.yaml", "--set", "train_cfg.max_steps=2", "--output"]
    short_set = ["--set", "train_cfg.num_eval_samples=0", "--set", f"output_folder={tmp_path}"]
    assert run_script("code/train.py", *short, "root", *short_set).returncode == 0
    assert run_script("train.py", *short, "code", *short_set, cwd=ROOT / "code").returncode == 0
    one, two = (load(tmp_path / f"digits_{n}" / "model_final.pth") for n in ("root", "code"))
    assert_same_training(one, two)
    one["config"].pop("output_folder")
    two["config"].pop("output_folder")
    assert one["config"] == two["config"]


def test_output_on_a_read_only_path(digits_args, tmp_path):
    """A run folder that cannot be made is refused with a sentence."""
    (tmp_path / "file").write_text("not a folder")
    args = [*digits_args, "--set", f"output_folder={tmp_path / 'file' / 'logs'}"]
    assert_refused(run_script(*args), "cannot write")


def test_fewer_threads_change_no_random_number(digits_args, tmp_path):
    """What is drawn depends on the seed alone: one thread gives the losses of many."""
    finals = []
    for threads in ("1", str(os.cpu_count())):
        args = [*digits_args, "--set", "train_cfg.max_steps=4", "--output", f"threads{threads}"]
        assert run_script(*args, OMP_NUM_THREADS=threads).returncode == 0
        folder = tmp_path / "logs" / f"digits_threads{threads}"
        finals.append(torch.tensor(load(folder / "model_final.pth")["epoch_losses"]))
    torch.testing.assert_close(*finals, atol=1e-5, rtol=1e-4)


def test_benchmark_of_threads_and_processes(tmp_path):
    """It trains each way as often as asked; a run that fails is quoted."""
    file = tmp_path / "new" / "processes.json"
    settings = ["--set", "model.dim=8", "--steps", "3", "--rounds", "1", "--json", file]
    script = ["benchmarks/processes.py", "configs/digits.yaml"]
    process = run_script(*script, *settings, timeout=LIMIT)
    assert process.returncode == 0, process.stderr
    cores = os.cpu_count()
    found = json.loads(file.read_text())["images_per_second"]
    names = list(found)
    assert names[:1] + names[3:] == ["1 process, 1 thread", f"{cores} processes, 1 thread each"]
    for name, speeds in found.items():
        assert len(speeds) == 1
        assert min(speeds) > 0
        assert f"| {name} |" in process.stdout
    process = run_script(*script, "--set", "model.dim=7", "--steps", "3", "--rounds", "1")
    assert_refused(process, "train.py", "must be divisible by 4")


MESSAGES = """
import torch
from libs.runtime import cli
from libs.runtime.processes import Processes

def main():
    with Processes.joined(torch.device("cpu")) as processes:
        for number in range(20):
            processes.same(number)
            processes.mean(torch.ones(100))

cli.run(main)
"""


def test_processes_end_in_peace(tmp_path):
    """Gloo's threads, which free the last messages, abort no process that is ending.

    They did so in 16 of 25 such launches when Python ended the processes.
    """
    script = tmp_path / "messages.py"
    script.write_text(MESSAGES, encoding="utf-8")
    four = [*TORCHRUN[:-1], "4", str(script)]
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT / "code")}
    for _ in range(5):
        process = subprocess.run(
            [sys.executable, *four], env=environment, capture_output=True, text=True, timeout=LIMIT
        )
        assert process.returncode == 0, process.stderr
