"""Distillation into one evaluation: its direction against a closed form, a student that reaches its
teacher, runs that go on, and mistakes."""

import pytest
import torch
from torch import nn

from helpers.files import ROOT
from helpers.resume import assert_resumes_exactly, make_trainer
from libs.config import load_config
from libs.fm import FM
from libs.metrics.evaluation import Looks, Request, gather_evidence
from libs.metrics.scoring import score
from libs.models.build import load_model
from libs.models.denoisers import denoiser_of
from libs.samplers.flags import SamplerFlags
from libs.samplers.sampler import Sampler
from libs.training.distillation import SMALLEST, MatchingLoss, draw_at_once
from libs.utils import UserError

CPU = torch.device("cpu")
MEAN, STD = 0.3, 0.4  # of the teacher's data, every pixel alike
SMALL = ["dataset.subset=0.1", "dataset.test_split=null", "model.dim=8", "loader.batch_size=32"]
SMALL += ["train_cfg.num_eval_samples=1"]
ONCE = ["model.timesteps=1", "train_cfg.betas=[0.5,0.99]", "train_cfg.lr=2e-4"]


class Exact(nn.Module):
    """The velocity of the flow to N(mean, std^2): (E[x_1 | x_t] - x_t) / (1 - t)."""

    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = (torch.as_tensor(v, dtype=torch.float64) for v in (mean, std))

    def image(self, x, t):
        """E[x_1 | x_t], of two normal variables."""
        t = t[:, None, None, None]
        gain = t * self.std**2 / (t**2 * self.std**2 + (1 - t) ** 2)
        return self.mean + gain * (x - t * self.mean)

    def forward(self, x, label, time):
        return (self.image(x, time) - x) / (1 - time)[:, None, None, None]


class Linear(nn.Module):
    """A student that draws mean + std * noise."""

    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = (
            nn.Parameter(torch.tensor(v, dtype=torch.float64)) for v in (mean, std)
        )

    def forward(self, x, label, time):
        return self.mean + self.std * x - x


def student_of(mean, std):
    flow = FM((1, 4, 4), 1, dim=8, context_dim=8, num_classes=2, dim_mults=(1,), attn_levels=())
    flow.model = Linear(mean, std)
    return flow


def draws(number, seed=0):
    generator = torch.Generator().manual_seed(seed)
    options = {"generator": generator, "dtype": torch.float64}
    start, noise = (torch.randn(number, 1, 4, 4, **options) for _ in range(2))
    return start, torch.zeros(number, dtype=torch.long), torch.rand(number, **options), noise


def test_direction_is_that_of_the_paper():
    """The gradient by an image is the critic's less the teacher's, by the image's distance to the
    teacher's (Yin et al. 2024, eqs. 7 and 8), over the number of pixels."""
    student, teacher, critic = student_of(-0.2, 0.7), Exact(MEAN, STD), Exact(-0.2, 0.7)
    start, label, t, noise = draws(5)
    x = draw_at_once(student, start, label).detach().requires_grad_()
    student.model.forward = lambda *given: x - start
    loss = MatchingLoss(student, teacher, critic)(start, label, t, noise)
    loss.backward()
    times = t[:, None, None, None]
    x_t = times * x.detach() + (1 - times) * noise
    real, drawn = teacher.image(x_t, t), critic.image(x_t, t)
    distance = (x.detach() - real).abs().mean(dim=(1, 2, 3), keepdim=True)
    assert distance.min() > SMALLEST
    torch.testing.assert_close(x.grad, (drawn - real) / distance / x.numel())


def test_student_reaches_the_teachers_distribution():
    """With a critic that knows what the student draws, mean and deviation become the teacher's."""
    student, teacher, critic = student_of(-1.0, 1.5), Exact(MEAN, STD), Exact(-1.0, 1.5)
    loss = MatchingLoss(student, teacher, critic)
    optimizer = torch.optim.Adam(student.model.parameters(), 0.03)
    for i in range(400):
        critic.mean, critic.std = student.model.mean.detach(), student.model.std.detach()
        optimizer.zero_grad()
        loss(*draws(64, seed=i)).backward()
        optimizer.step()
    assert student.model.mean.item() == pytest.approx(MEAN, abs=0.05)
    assert student.model.std.item() == pytest.approx(STD, abs=0.05)


def teacher_of(folder, *overrides):
    """The run folder of a flow on a few digits, after two steps."""
    make_trainer("digits_fm", folder, *SMALL, "train_cfg.max_steps=2", *overrides).fit()
    return folder / "run"


def test_student_draws_in_one_evaluation_and_training_goes_on(tmp_path):
    """A run that was stopped ends as one that was not, critic and all; what it saved is a flow that
    draws at once, and it began as its teacher."""
    teacher = teacher_of(tmp_path / "teacher")
    settings = [*SMALL, *ONCE, f"fm.teacher={teacher}", f"output_folder={tmp_path}"]
    trainer = make_trainer("digits_fm", tmp_path / "student", *settings)
    taught = load_model(teacher, CPU).model.state_dict()
    begun = trainer.learner.model.state_dict()
    assert all(torch.equal(begun[key], taught[key]) for key in taught)
    assert_resumes_exactly("digits_fm", tmp_path, *settings, steps=2)
    trained = load_model(tmp_path / "run", CPU).model
    assert Sampler().evaluations(denoiser_of(trained)) == 1
    labels = torch.tensor([0, 7])
    torch.manual_seed(0)
    images = trained.generate(labels)
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = draw_at_once(trained, torch.randn(2, *trained.img_shape), labels)
    torch.testing.assert_close(images, trained.postprocess(drawn))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["model.timesteps=2"], "set 'model.timesteps' to 1, not 2"),
        (["fm.mean_share=0.5"], "'fm.teacher' and 'fm.mean_share' exclude each other"),
        (["fm.solver=heun"], "leave out 'fm.solver: heun'"),
        (
            [
                "model.use_vae=true",
                "vae.kind=kl",
                "vae.weights=some.pth",
                "vae.freeze_vae_epoch=1",
            ],
            "knows its own latents: set 'vae.freeze_vae_epoch' to null",
        ),
        (["train_cfg.guidance=2", "model.label_dropout=0.1"], "which a student of 'fm.teacher'"),
    ],
)
def test_config_mistakes(overrides, words):
    """What makes no sense for one evaluation is refused before anything is read."""
    settings = [*ONCE, "fm.teacher=logs/none", *overrides]
    with pytest.raises(UserError, match=words):
        load_config(str(ROOT / "configs/digits_fm.yaml"), settings)


def test_wrong_teachers(tmp_path):
    """A missing run, another network and another kind of model are named with what is wrong."""
    with pytest.raises(UserError, match="no_run, does not exist: train the flow first"):
        make_trainer("digits_fm", tmp_path, *SMALL, *ONCE, f"fm.teacher={tmp_path / 'no_run'}")
    wide = teacher_of(tmp_path / "wide", "model.dim=16")
    with pytest.raises(UserError, match=r"another network: its 'model.dim' is 16, not 8"):
        make_trainer("digits_fm", tmp_path, *SMALL, *ONCE, f"fm.teacher={wide}")
    make_trainer("digits", tmp_path / "ddpm", *SMALL, "train_cfg.max_steps=1").fit()
    with pytest.raises(UserError, match="is no plain flow"):
        make_trainer("digits_fm", tmp_path, *SMALL, *ONCE, f"fm.teacher={tmp_path / 'ddpm/run'}")


@pytest.mark.slow
def test_digits_in_one_evaluation(tmp_path):
    """A flow of the digits, distilled, beats one large step of its own by far."""
    folder = f"output_folder={tmp_path}"
    make_trainer("digits_fm", tmp_path / "teacher", folder, "train_cfg.num_eval_samples=0").fit()
    teacher = tmp_path / "teacher/run"
    settings = [*ONCE, folder, f"fm.teacher={teacher}", "train_cfg.num_eval_samples=0"]
    make_trainer("digits_fm", tmp_path / "student", *settings).fit()

    def scores(run, **flags):
        request = Request(run, ["fid", "accuracy"], Looks(), SamplerFlags(**flags), num=500)
        evidence, setup = gather_evidence(request)
        return [found.samples for found in score(setup.metrics, evidence)]

    in_one_step, _ = scores(teacher, sampler="ddim", steps=1)
    fid, accuracy = scores(tmp_path / "student/run")
    assert fid < in_one_step / 2
    assert accuracy > 0.9
