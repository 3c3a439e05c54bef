"""Learning rates, averaged weights, devices and precision, random numbers, and run folders."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.optim import lr_scheduler

from libs.config import Config, DatasetConfig, TrainConfig, load_config, to_dict
from libs.data.batches import load_together
from libs.runtime import device as devices
from libs.runtime.device import Precision, pick_device
from libs.runtime.processes import Processes
from libs.runtime.streams import fork_rng, generator_for, rng_state, set_rng_state
from libs.training import run_folder
from libs.training.ema import EMA
from libs.training.optim import learning_rate, make_optimizer
from libs.utils import UserError

STEPS = 7  # in an epoch


def torchs_rates(make_scheduler, steps: int, lr: float = 0.5) -> list[float]:
    """The learning rates of a scheduler of torch, step by step."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = make_scheduler(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def our_rates(steps: int, **settings) -> list[float]:
    config = TrainConfig(lr=0.5, **settings)
    return [learning_rate(config, step, STEPS) for step in range(steps)]


# Learning rates


def test_constant():
    """Without a schedule the rate is the one set, to the last step and beyond."""
    assert our_rates(3 * STEPS, epochs=2) == [0.5] * 3 * STEPS


@pytest.mark.parametrize("epochs", [1, 3, 11])
def test_cosine(epochs):
    """The cosine is torch's CosineAnnealingLR down to 0 at the end of the last epoch."""
    total = epochs * STEPS
    expected = torchs_rates(lambda o: lr_scheduler.CosineAnnealingLR(o, total), total)
    assert our_rates(total, epochs=epochs, lr_schedule="cosine") == pytest.approx(expected)
    assert our_rates(total + 5, epochs=epochs, lr_schedule="cosine")[total:] == [0] * 5


@pytest.mark.parametrize("epochs", [1, 3, 11])
@pytest.mark.parametrize("warmup_steps", [0, 5])
def test_one_cycle(epochs, warmup_steps):
    """One cycle is torch's OneCycleLR with its defaults, whatever the warm-up steps."""
    total = epochs * STEPS
    expected = torchs_rates(
        lambda o: lr_scheduler.OneCycleLR(o, 0.5, total_steps=total, cycle_momentum=False), total
    )
    rates = our_rates(total, epochs=epochs, lr_schedule="onecycle", warmup_steps=warmup_steps)
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize(
    ("milestones", "gamma"), [([1], 0.1), ([1, 3], 0.5), ([3, 2], 0.2), ([], 1)]
)
def test_multistep(milestones, gamma):
    """Multistep is torch's MultiStepLR with milestones counted in epochs."""
    steps = [epoch * STEPS for epoch in milestones]
    expected = torchs_rates(lambda o: lr_scheduler.MultiStepLR(o, steps, gamma), 5 * STEPS)
    rates = our_rates(
        5 * STEPS, epochs=5, lr_schedule="multistep", lr_milestones=milestones, lr_gamma=gamma
    )
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "multistep"])
def test_warm_up(schedule):
    """Warm-up is linear, as torch's LinearLR, from above 0, and the schedule follows it."""
    warm = 9
    expected = torchs_rates(lambda o: lr_scheduler.LinearLR(o, 1 / (warm + 1), 1, warm), warm)
    rest = 4 * STEPS - warm
    after = {
        "constant": lambda o: lr_scheduler.ConstantLR(o, 1),
        "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, rest),
        "multistep": lambda o: lr_scheduler.MultiStepLR(o, [2 * STEPS - warm], 0.1),
    }
    expected += torchs_rates(after[schedule], rest)
    rates = our_rates(
        4 * STEPS, epochs=4, lr_schedule=schedule, warmup_steps=warm, lr_milestones=[2]
    )
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
def test_warm_up_in_epochs(schedule):
    """Epochs of warm-up are as many steps, whatever the size of the data; fractions are rounded."""
    for epochs, steps in ((2, 2 * STEPS), (0.5, 4), (0, 0)):
        options = {"epochs": 4, "lr_schedule": schedule}
        rates = our_rates(4 * STEPS, warmup_epochs=epochs, **options)
        assert rates == our_rates(4 * STEPS, warmup_steps=steps, **options)


# Optimizer and averaged weights


@pytest.fixture
def model():
    """A small network with one frozen layer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].requires_grad_(False)
    return model


def test_optimizer_leaves_out_frozen_parameters(model):
    """AdamW gets the config's numbers, and no parameter that is frozen."""
    config = TrainConfig(lr=0.02, betas=[0.8, 0.95], weight_decay=0.3)
    (group,) = make_optimizer(model, config).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model[1].parameters()]
    assert (group["lr"], tuple(group["betas"]), group["weight_decay"]) == (0.02, (0.8, 0.95), 0.3)


def test_optimizer_steps_like_adamw(model):
    """The fused optimizer makes the steps of torch's plain AdamW."""
    config, twin = TrainConfig(lr=0.02), copy.deepcopy(model)
    reference = torch.optim.AdamW(
        twin[1].parameters(), lr=0.02, betas=(0.9, 0.999), weight_decay=0.01, fused=False
    )
    for net, optimizer in ((model, make_optimizer(model, config)), (twin, reference)):
        for step in range(3):
            optimizer.zero_grad()
            net(torch.full((1, 3), 0.5 + step)).square().sum().backward()
            optimizer.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6)


def randomise(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()


@pytest.mark.parametrize("decay", [0.999, 0.3, 0.0])
def test_ema_against_plain_loop(model, decay):
    """The average follows min(decay, (1 + n) / (10 + n)), as a float64 loop computes it."""
    ema = EMA(model, decay)
    expected = {k: p.double().clone() for k, p in model.named_parameters() if p.requires_grad}
    for n in range(1, 31):
        randomise(model)
        ema.update()
        d = min(decay, (1 + n) / (10 + n))
        for key, value in expected.items():
            value.mul_(d).add_(model.get_parameter(key).detach().double(), alpha=1 - d)
    assert ema.average.keys() == expected.keys() == {"1.weight", "1.bias"}
    for key, value in expected.items():
        assert torch.allclose(ema.average[key].double(), value, rtol=1e-5, atol=1e-6)


def test_ema_applied_swaps_and_restores(model):
    """Within `applied` the model has the averaged weights, afterwards its own, bit for bit."""
    ema = EMA(model)
    randomise(model)
    ema.update()
    before, average = copy.deepcopy(model.state_dict()), copy.deepcopy(ema.average)

    def check_restored():
        assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
        assert all(torch.equal(v, average[k]) for k, v in ema.average.items())

    with ema.applied():
        for key, value in average.items():
            assert torch.equal(model.get_parameter(key), value)
        assert torch.equal(model[0].weight, before["0.weight"])
    check_restored()
    with pytest.raises(KeyError), ema.applied():
        raise KeyError
    check_restored()


def test_ema_keeps_parameters_in_place(model):
    """The swap keeps the parameters' memory, which optimizers and compiled models point to."""
    ema = EMA(model)
    addresses = [p.data_ptr() for p in model.parameters()]
    with ema.applied():
        assert [p.data_ptr() for p in model.parameters()] == addresses
    assert [p.data_ptr() for p in model.parameters()] == addresses


def test_ema_state_round_trip(model, tmp_path):
    """An average restored from a checkpoint goes on exactly as the one that was saved."""
    first = EMA(model, 0.9)
    for _ in range(3):
        randomise(model)
        first.update()
    torch.save(first.state_dict(), tmp_path / "ema.pt")
    second = EMA(model, 0.9)
    second.load_state_dict(torch.load(tmp_path / "ema.pt", weights_only=True))
    randomise(model)
    first.update()
    second.update()
    assert first.updates == second.updates == 4
    for key, value in first.average.items():
        assert torch.equal(second.average[key], value)


# Devices and precision


@pytest.fixture
def machine(monkeypatch):
    """A function that makes this machine look like one with some CUDA devices."""

    def pretend(cuda: int, bf16: bool = True, mps: bool = False) -> None:
        def bf16_supported(including_emulation: bool = True) -> bool:
            return bf16 or including_emulation

        monkeypatch.delenv("LOCAL_RANK", raising=False)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", bf16_supported)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("name", "cuda", "mps", "expected"),
    [
        ("auto", 0, False, "cpu"),
        ("auto", 0, True, "mps"),
        ("auto", 2, False, "cuda:0"),
        ("cpu", 2, False, "cpu"),
        ("cuda", 1, False, "cuda:0"),
        ("cuda:1", 2, False, "cuda:1"),
        ("mps", 0, True, "mps"),
    ],
)
def test_pick_device(machine, name, cuda, mps, expected):
    """A named device is taken; auto takes CUDA, then MPS, then the CPU."""
    machine(cuda, mps=mps)
    assert str(pick_device([name])) == expected


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_processes_take_a_device_each(machine, monkeypatch, name):
    """Under torchrun each process takes the CUDA device of its local rank."""
    machine(4)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert str(pick_device([name])) == "cuda:2"


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_more_processes_than_devices(machine, monkeypatch, name):
    """Under torchrun with more processes than CUDA devices, a sentence gives their number."""
    machine(2)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match="2 CUDA"):
        pick_device([name])


@pytest.mark.parametrize(
    ("names", "cuda", "words"),
    [
        (["cuda"], 0, "torch finds 0 CUDA devices: use --device auto"),
        (["cuda:2"], 2, "device cuda:2 was asked for, but torch finds 2 CUDA"),
        (["mps"], 0, "device mps was asked for, but this machine has none"),
        (["gpu"], 0, "unknown device 'gpu': use auto, cpu, cuda"),
        (["0"], 0, "unknown device '0'"),
        (["meta"], 0, "unknown device 'meta'"),
        (["cuda:0", "cuda:1"], 2, r"torchrun --nproc_per_node 2 code/train\.py"),
        ([], 0, "one process uses one device"),
    ],
)
def test_pick_device_refuses(machine, names, cuda, words):
    """A device that is unknown or not there, or several of them, are refused with a way out."""
    machine(cuda)
    with pytest.raises(UserError, match=words):
        pick_device(names)


@pytest.mark.parametrize(
    ("name", "device", "bf16", "expected"),
    [
        ("auto", "cuda", True, "bf16"),
        ("auto", "cuda", False, "fp16"),
        ("auto", "cpu", True, "bf16"),
        ("auto", "cpu", False, "fp32"),
        ("auto", "mps", True, "fp32"),
        ("fp32", "cuda", True, "fp32"),
        ("fp16", "cuda", True, "fp16"),
        ("bf16", "cpu", False, "bf16"),
    ],
)
def test_pick_precision(machine, monkeypatch, name, device, bf16, expected):
    """Auto is bf16 where the hardware has it, else fp16 on CUDA, else fp32; a name is kept."""
    machine(1, bf16)
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: bf16)
    precision = Precision.pick(name, torch.device(device))
    assert precision.name == expected
    assert precision.needs_scaler == (expected == "fp16")


def test_fp16_on_cpu_refused():
    """fp16 on a CPU is refused with the formats to use instead."""
    with pytest.raises(UserError, match="dtype auto, bf16 or fp32"):
        Precision.pick("fp16", torch.device("cpu"))


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast(name, dtype):
    """Within `autocast` a network computes in the format, its weights stay float32."""
    layer = nn.Linear(2, 2)
    with Precision(name, torch.device("cpu")).autocast():
        assert layer(torch.ones(1, 2)).dtype == dtype
    assert layer.weight.dtype == torch.float32


# Random numbers


def test_generator_depends_on_all_its_numbers():
    """Every number of the key, and its place, changes the stream; nothing else does."""
    keys = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (0, 1, 0), (7, 2**40), (7, 2**40 + 1)]
    keys += [(3, step) for step in range(500)] + [(-1, 2), (1, 2)]
    draws = {}
    for i, key in enumerate(keys):
        torch.manual_seed(i)
        draws[key] = tuple(torch.rand(4, generator=generator_for(*key)).tolist())
    assert len(set(draws.values())) == len(keys)
    assert tuple(torch.rand(4, generator=generator_for(1, 0)).tolist()) == draws[1, 0]


def test_generators_of_neighbouring_steps_are_independent():
    """First draws of consecutive steps spread like random numbers."""
    first = torch.stack([torch.rand(3, generator=generator_for(0, 1, s)) for s in range(2000)])
    assert (first.mean(0) - 0.5).abs().max() < 4 / (12 * 2000) ** 0.5
    neighbours = torch.cat([first[1:], first[:-1]], dim=1)
    assert torch.corrcoef(neighbours.T).fill_diagonal_(0).abs().max() < 0.1


def test_fork_rng_leaves_outer_state():
    """Within `fork_rng` numbers follow from its seed; afterwards the outer stream goes on."""
    torch.manual_seed(5)
    expected = torch.rand(4)
    torch.manual_seed(5)
    drawn = [torch.rand(2)]
    inner = []
    for _ in range(2):
        with fork_rng(1, torch.device("cpu")):
            inner.append(torch.rand(3))
    drawn.append(torch.rand(2))
    assert torch.equal(torch.cat(drawn), expected)
    assert torch.equal(*inner)


def test_rng_state_round_trip():
    """The global generator goes on from a state that was kept."""
    torch.manual_seed(1)
    state = rng_state()
    expected = torch.rand(3)
    torch.manual_seed(2)
    set_rng_state(state)
    assert torch.equal(torch.rand(3), expected)


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


# Run folders


@pytest.fixture
def config(tmp_path) -> Config:
    return load_config("configs/digits.yaml", [f"output_folder={tmp_path}/logs"])


def test_choose_folder(config, tmp_path):
    """A run's folder is named after config and name, or that of the checkpoint it goes on from."""
    logs = tmp_path / "logs"
    assert run_folder.choose(config, "digits", "try", None) == logs / "digits_try"
    resumed = tmp_path / "other/run/epoch-0005.pth"
    assert run_folder.choose(config, "digits", None, resumed) == resumed.parent
    assert run_folder.choose(config, "digits", "try", resumed) == logs / "digits_try"
    timed = run_folder.choose(config, "digits", None, None)
    assert timed.parent == logs
    assert timed.name.startswith("digits_20")
    assert not logs.exists()


def test_choose_refuses_folder_with_checkpoints(config, tmp_path):
    """A new run never writes into a folder with checkpoints; other leftovers do no harm."""
    folder = tmp_path / "logs/digits_try"
    folder.mkdir(parents=True)
    (folder / "loss_history.json").touch()
    assert run_folder.choose(config, "digits", "try", None) == folder
    (folder / "epoch-0005.pth").touch()
    with pytest.raises(UserError, match=f"--resume {folder}"):
        run_folder.choose(config, "digits", "try", None)
    with pytest.raises(UserError, match="another --output"):
        run_folder.choose(config, "digits", "try", tmp_path / "other.pth")
    assert run_folder.choose(config, "digits", None, folder / "epoch-0005.pth") == folder


def saved(config: Config, tmp_path) -> dict:
    """What a checkpoint in a run folder holds of a config."""
    path = tmp_path / "logs/run/epoch-0005.pth"
    return {"path": path, "config": to_dict(config, path.parent)}


@pytest.mark.parametrize(
    "change",
    [
        "train_cfg.epochs=500",
        "train_cfg.lr=1",
        "loader.num_workers=7",
        "output_folder=elsewhere",
        "dataset.data_folder=moved",
        "model.vae_encoder_weights=moved.pth",
        "dtype=bf16",
    ],
)
def test_resumed_run_may_change(config, tmp_path, change):
    """Settings that change neither model nor order of the images may differ on resume."""
    state = saved(config, tmp_path)
    now = load_config("configs/digits.yaml", [change])
    assert run_folder.check_same_run(now, state) is None
    assert now != config


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("seed=1", "seed was 0 and is 1"),
        ("model.dim=24", "model.dim was 16 and is 24"),
        ("model.dim_mults=[1, 2, 2]", r"model.dim_mults was \[1, 1, 2\] and is \[1, 2, 2\]"),
        ("model.beta_end=0.03", "model.beta_end was 0.05 and is 0.03"),
        ("dataset.name=MNIST", "dataset.name was 'Digits' and is 'MNIST'"),
        ("dataset.subset=0.5", "dataset.subset was 1.0 and is 0.5"),
        ("dataset.random_flip=true", "dataset.random_flip was False and is True"),
        ("loader.batch_size=32", "loader.batch_size was 64 and is 32"),
    ],
)
def test_resumed_run_may_not_change(config, tmp_path, change, words):
    """Settings on which model or order of the images depend are refused with both values."""
    now = load_config("configs/digits.yaml", [change])
    with pytest.raises(UserError, match=f"from another config: {words}$"):
        run_folder.check_same_run(now, saved(config, tmp_path))


def test_all_differences_are_named(config, tmp_path):
    """Several differences are named in one sentence."""
    now = load_config("configs/digits.yaml", ["seed=1", "model.dim=24"])
    with pytest.raises(UserError, match=r"seed was 0 and is 1; model\.dim was 16 and is 24"):
        run_folder.check_same_run(now, saved(config, tmp_path))
