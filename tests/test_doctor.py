"""The doctor: right runs are well, sabotaged ones have the fault that they have, and it is said."""

import random
import re
import subprocess
from collections.abc import Iterable

import pytest
import torch
from torch import nn

from helpers import sabotage
from helpers.files import ROOT
from helpers.models import make_model, randomize
from helpers.scripts import assert_refused, call_script
from libs.config import Config, ModelConfig, load_config
from libs.data.toy import ring_centres
from libs.doctor import findings, network
from libs.doctor.chain import chain
from libs.doctor.checkup import BAND, Report, check_up, half_believed, probe
from libs.doctor.forward import diffusion
from libs.doctor.patient import Patient
from libs.doctor.visit import told
from libs.models.build import build_model
from libs.models.exact import Mixture, exact_ddpm
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.schedules import make_betas
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.trainer import Trainer

SECTION = {"img_shape": [1, 8, 8], "timesteps": 40, "dim": 8, "context_dim": 8, "num_classes": 3}
SECTION |= {"dim_mults": [1, 2], "attn_levels": [], "beta_schedule": "cosine"}


def patient_of(kind: str = "DDPM", **section: object) -> Patient:
    """A model of random weights, before its first step."""
    section = SECTION | section
    config = Config(model_name=kind, model=ModelConfig(**section))
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(40, *section["img_shape"], generator=generator)
    labels = torch.arange(40) % 3
    return Patient(randomize(make_model(kind, **section)).eval(), config, images, labels)


@pytest.mark.parametrize(
    ("kind", "section"),
    [
        ("DDPM", {}),
        ("DDPM", {"prediction": "v"}),
        ("DDPM", {"prediction": "x0"}),
        ("DDPM", {"variance_type": "fixed_large"}),
        ("DDPM", {"img_shape": [2, 1, 1], "network": "mlp"}),
        ("DDPM", {"timesteps": 1000}),
        ("EDM", {}),
        ("FM", {}),
    ],
)
def test_right_functions_are_well(kind, section):
    """Nothing is said of our own code, and no random state is used up."""
    patient, before = patient_of(kind, **section), torch.get_rng_state()
    assert check_up(patient).findings == []
    assert torch.equal(before, torch.get_rng_state())


def test_heun_of_a_flow_is_well():
    """A flow that looks twice at each time visits the times of one that looks once."""
    patient = patient_of("FM")
    patient.model.heun = True
    assert probe(patient) == []


@pytest.mark.parametrize("prediction", ["image", "velocity"])
def test_a_flow_of_mean_velocities_is_well(prediction):
    """Its network is asked with two times, and drawing takes one step."""
    section = SECTION | {"timesteps": 1}
    config = Config(model_name="FM", model=ModelConfig(**section))
    config.fm.mean_share, config.fm.prediction = 0.5, prediction
    patient = patient_of("FM", timesteps=1)
    patient.model, patient.config = build_model(config).eval(), config
    assert probe(patient) == []


@pytest.mark.parametrize(("share", "is_well"), [(0.0, False), (0.5, True)])
def test_mean_velocities_learn_the_faintest_noise_last(share, is_well, monkeypatch):
    """A healthy run of `digits_few` had these errors; those of other models would be too large."""
    ratios = [26.8, 3.3, 1.8, 0.9, 0.8, 0.7, 0.6, 0.6, 0.6, 0.6]
    levels = [network.Level(1.0, ratio, 0.8, 0.2) for ratio in ratios]
    monkeypatch.setattr(network, "levels", lambda *_: levels)
    monkeypatch.setattr(network, "moved", lambda *_: 0.4)
    patient = patient_of("FM")
    patient.config.fm.mean_share, patient.step = share, 184
    found = {finding.kind for finding in check_up(patient).findings}
    assert ("unlearned" not in found) is is_well


def test_more_noise_than_healthy_runs_had():
    """An error in the noise weighs (sigma / alpha)^2 in the image, also where nobody measured."""
    assert [band.most_at(band.noise) for band in BAND] == [band.most for band in BAND]
    assert BAND[-1].most_at(10 * BAND[-1].noise) == pytest.approx(100 * BAND[-1].most)
    for band in BAND:  # a network that knows nothing, whose error is all of the noise, is above
        assert all(noise**2 > band.most_at(noise) for noise in (band.noise, 10 * band.noise))


OF_CODE = (sabotage.DDPM, sabotage.EDM, sabotage.edm)
IN_CODE = [name for name, run in sabotage.WRONG.items() if run.owner in OF_CODE]


@pytest.mark.parametrize("name", IN_CODE)
def test_mistakes_in_functions_are_named_before_the_first_step(name):
    """Those of q_sample, the loss, the denoiser and the chain show without any training."""
    run = sabotage.WRONG[name]
    with sabotage.patched(run):
        found = check_up(patient_of("DDPM" if run.owner is sabotage.DDPM else "EDM")).findings
    assert found, name
    assert found[0].kind in run.kinds.split(), str(found[0])
    assert re.search(r"\d|the network for anything|other labels|the same time", found[0].sentence)


def test_a_flow_that_mixes_wrongly():
    """A flow's x_t is looked at as a DDPM's is."""
    patient = patient_of("FM")
    patient.model.interpolate = lambda x, t, noise: noise
    assert [finding.kind for finding in probe(patient)] == ["diffusion"]


def test_a_flow_that_goes_the_wrong_way():
    """Drawing that leads away from the data is seen in its states."""
    patient = patient_of("FM")
    step = patient.model.step
    patient.model.step = lambda x, label, t, t_next: step(x, label, t_next, t)
    assert [finding.kind for finding in probe(patient)] == ["chain"]


def test_what_training_refuses_itself_is_left_to_it():
    """A function that is still to be written, or returns nothing, does not stop the doctor."""
    patient = patient_of()

    def unwritten(*args):
        raise NotImplementedError

    patient.model.q_sample = unwritten
    assert probe(patient) == []
    patient = patient_of()
    patient.model.q_sample = lambda x, t, noise: None
    assert probe(patient) == []


def test_data_in_another_range_and_too_few_of_it():
    """Faults of the data are named where all code is right."""
    patient = patient_of()
    patient.images = 0.5 + 0.1 * patient.images
    assert [f.kind for f in check_up(patient).findings] == ["scale"]
    patient = patient_of()
    patient.images = patient.images[:3].repeat(10, 1, 1, 1)
    assert [f.kind for f in check_up(patient).findings] == ["few"]


def test_errors_are_those_of_the_best_linear_denoiser():
    """A network that knows Gaussian data is a linear one, and gets a ratio of 1 at all levels."""
    betas = make_betas("cosine", 40, 1e-4, 0.02)
    model = exact_ddpm(Mixture(torch.zeros(1, 2), 0.4), (2, 1, 1), betas)
    generator = torch.Generator().manual_seed(0)
    points = 0.4 * torch.randn(5000, 2, 1, 1, generator=generator)
    section = ModelConfig(**SECTION | {"img_shape": [2, 1, 1], "conditional": False})
    patient = Patient(model, Config(model=section), (points + 1) / 2, torch.zeros(5000).long())
    network_sees = network.LOOKED_AT
    network.LOOKED_AT = 5000
    try:
        levels = network.levels(patient)
    finally:
        network.LOOKED_AT = network_sees
    assert [level.ratio for level in levels] == pytest.approx([1.0] * 10, rel=0.05)
    assert levels[-1].of_noise > 0.95
    assert [level.noise for level in levels] == sorted(level.noise for level in levels)
    several = exact_ddpm(Mixture(ring_centres(), 0.05), (2, 1, 1), betas)  # which no line fits
    assert network.levels(patient, several)[0].ratio > 1.2


@pytest.mark.parametrize(
    ("part", "measure"),
    [("label", lambda patient: network.label_use(patient).gain), ("time", network.time_change)],
)
def test_what_the_network_does_not_look_at(part, measure):
    """With an embedding of zeros the answer does not change at all; with the real one it does."""
    looks = measure(patient_of())
    with sabotage.patched(sabotage.Run(**sabotage.blind(part))):
        blind = measure(patient_of())
    nothing = {"label": 1.0, "time": 0.0}[part]
    assert blind == nothing
    assert abs(looks - nothing) > 1e-3


class Believer(nn.Module):
    """Knows a class's only image, and believes by a share what a label says of it.

    Args:
        images: one of each class, in [-1, 1], [K, ...].
        alpha_bars: the schedule, [T].
        believes: 0 for the mean of all classes, 1 for that of the label.
        mean_of: classes that it takes for the same.
    """

    def __init__(self, images, alpha_bars, believes=1.0, mean_of=()):
        super().__init__()
        known = images.clone()
        if mean_of:
            known[list(mean_of)] = images[list(mean_of)].mean(dim=0)
        self.known = nn.Parameter(known.lerp(images.mean(dim=0).expand_as(images), 1 - believes))
        self.alpha_bars = alpha_bars

    def forward(self, x, label, time):
        alpha_bar = self.alpha_bars[time][:, None, None, None]
        return (x - alpha_bar.sqrt() * self.known[label]) / (1 - alpha_bar).sqrt()


def believer(**options: object) -> Patient:
    """A patient with four classes, a grey each and some noise, and a network that knows them."""
    patient = patient_of(num_classes=4)
    patient.labels = torch.arange(400) % 4
    greys = torch.tensor([-0.8, -0.3, 0.2, 0.6])[:, None, None, None].expand(-1, 1, 8, 8)
    generator = torch.Generator().manual_seed(0)
    spread = 0.05 * torch.randn(400, 1, 8, 8, generator=generator)
    patient.images = (greys[patient.labels] + spread + 1) / 2
    alpha_bars = (1 - patient.model.betas).cumprod(dim=0)
    patient.model.model = Believer(greys, alpha_bars, **options)
    return patient


def test_a_network_that_knows_what_labels_say_believes_them():
    """Right labels are taken at their word; those that are wrong in part are not.

    A network that believes half of a label goes from the mean m of all classes to that of the label
    by half, and to that of a wrong one, too: the best stretch is 1 + (x - m)(x - w) / (x - w)^2,
    which is 1.5 for wrong labels of all other classes alike.
    """
    use = network.label_use(believer())
    assert use.stretch == pytest.approx(1, abs=0.01)
    assert use.apart > 0.05
    assert network.label_use(believer(believes=0.5)).stretch == pytest.approx(1.5, abs=0.2)
    assert half_believed(network.label_use(believer())) == []
    (finding,) = half_believed(network.label_use(believer(believes=0.5)))
    assert finding.kind == "label"


def test_classes_that_are_taken_for_each_other_are_named():
    """A network that answers alike for two classes has learned that nothing tells them apart."""
    use = network.label_use(believer(mean_of=(1, 3)))
    assert use.pair == (1, 3)
    assert use.apart == pytest.approx(0, abs=1e-6)
    (finding,) = half_believed(use)
    assert "1 and 3" in finding.sentence


@pytest.mark.parametrize("timesteps", [40, 1000])
@pytest.mark.parametrize("schedule", ["linear", "cosine", "sigmoid"])
def test_one_step_late_is_seen_in_any_schedule(schedule, timesteps):
    """Neighbours in time differ by little where there are many steps, but never by rounding."""
    late = sabotage.at_time(lambda model, t: (t + 1).clamp(max=model.timesteps - 1))
    section = {"timesteps": timesteps, "beta_schedule": schedule}
    assert diffusion(patient_of(**section)) == []
    with sabotage.patched(sabotage.Run(**late)):
        (finding,) = diffusion(patient_of(**section))
    assert finding.kind == "diffusion"


@pytest.mark.parametrize("large", [False, True])
def test_the_last_step_adds_nothing(large):
    """Noise that hardly shows, of a hundredth, is seen in what the chain ends with."""
    section = {"variance_type": "fixed_large"} if large else {}
    assert chain(patient_of(**section)) == []
    with sabotage.patched(sabotage.Run(**sabotage.last_noise(0.2))):
        (finding,) = chain(patient_of(**section))
    assert "give or take" in finding.sentence


def test_kinds_have_a_place_and_an_order():
    """What explains other findings is said first, each kind once."""
    listed = [findings.Finding(kind, kind) for kind in reversed(findings.PLACES)] * 2
    assert [f.kind for f in findings.in_order(listed)] == list(findings.PLACES)
    kinds = {kind for run in sabotage.WRONG.values() for kind in run.kinds.split()}
    assert kinds <= findings.PLACES.keys()


def test_the_table_marks_what_is_above():
    """The reader sees which tenths are above the band, and no others."""
    levels = [
        network.Level(0.1 * i, band.most * (1 + (i == 4)), 0, 0) for i, band in enumerate(BAND)
    ]
    patient = patient_of()
    patient.step = 1234
    text = told(patient, Report(levels=levels, band=BAND), "logs/x/model_final.pth")
    assert "after 1,234 steps" in text
    assert [line.endswith("above") for line in text.splitlines()[3:13]] == [
        i == 4 for i in range(10)
    ]
    assert text.endswith("Nothing is off.")


def test_script_says_what_is_off(run_folder, tmp_path):
    """A run of 12 steps is too young to be judged; its ten time steps leave half of the image."""
    done = call_script("code/doctor.py", run_folder)
    assert done.returncode == 0, done.stderr
    assert "Too early to judge" in done.stdout
    assert "of the image are left in x_T" in done.stdout
    assert_refused(call_script("code/doctor.py", tmp_path), "there is no checkpoint")


def test_training_says_one_sentence(tmp_path, capsys):
    """At its start, and not again at the next checkpoint; nothing about a right run."""
    keys = ["model.dim=8", "model.timesteps=10", "train_cfg.max_steps=4", "dtype=fp32"]
    keys += ["loader.batch_size=700"]  # two steps in each of two epochs
    keys += ["train_cfg.num_eval_samples=0", "model.beta_end=0.9", f"output_folder={tmp_path}"]

    def said(folder: str) -> list[str]:
        config = load_config("configs/digits.yaml", keys)
        precision, processes = Precision.pick("fp32", torch.device("cpu")), Processes()
        learner = DiffusionLearner(config, precision, processes)
        Trainer(learner, config, tmp_path / folder, precision, processes, ckpt_freq=1).fit()
        text = capsys.readouterr()
        return re.findall(r"something is off: .*", text.out + text.err)

    assert said("right") == []
    with sabotage.patched(sabotage.WRONG["predicts the image"]):
        (line,) = said("wrong")
    assert "loss" in line
    assert "doctor.py" not in line  # there is no checkpoint yet


def test_a_checkup_leaves_the_run_as_it_was(tmp_path):
    """Weights, averages and torch's random state stay, also while the run trains."""
    keys = ["model.dim=8", "model.timesteps=10", f"output_folder={tmp_path}"]
    config = load_config("configs/digits.yaml", keys)
    learner = DiffusionLearner(config, Precision.pick("fp32", torch.device("cpu")), Processes())
    state = {n: t.clone() for n, t in learner.model.state_dict().items()}
    average = {n: t.clone() for n, t in learner.updater.ema.average.items()}
    before = torch.get_rng_state()
    assert any("weights" in s for s in learner.findings(200, True, [1.0], None))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(t, state[n]) for n, t in learner.model.state_dict().items())
    assert all(torch.equal(t, average[n]) for n, t in learner.updater.ema.average.items())
    assert isinstance(learner.model.model, nn.Module)
    assert learner.loss.training


# Runs that are trained: a few of each kind


def drawn(runs: Iterable[str], number: int) -> list[str]:
    """A few names, other ones after each commit."""
    try:
        count = ["git", "rev-list", "--count", "HEAD"]
        turn = subprocess.run(count, cwd=ROOT, capture_output=True, check=False).stdout.strip()
    except OSError:  # no git
        turn = b""
    return sorted(random.Random(turn).sample(sorted(runs), number))


TRAINED = [name for name in sabotage.WRONG if name not in IN_CODE]


@pytest.mark.slow
def test_sabotaged_runs_are_named(tmp_path):
    """A run that is spoiled is named by what spoils it, first of all findings: nine of ten are, and
    of five at most one is not."""
    missed = {}
    for name in drawn(TRAINED, 3) + drawn(IN_CODE, 2):
        run = sabotage.WRONG[name]
        found = sabotage.examined(run, tmp_path / name).findings
        if not found or found[0].kind not in run.kinds.split():
            missed[name] = [str(finding) for finding in found]
    assert len(missed) <= 1, missed


@pytest.mark.slow
@pytest.mark.parametrize("name", drawn(sabotage.HEALTHY, 4))
def test_healthy_runs_are_not_accused(name, tmp_path):
    """A right run of any kind and length stays without a finding."""
    assert sabotage.examined(sabotage.HEALTHY[name], tmp_path).findings == []
