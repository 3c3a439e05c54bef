"""An autoencoder that is trained along with the diffusion model in its latents, until an epoch."""

import pytest
import torch

from libs.autoencoders.latents import FirstStage
from libs.config import load_config
from libs.models.build import load_model
from libs.runtime import checkpoint
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.settings.autoencoder import AutoencoderConfig
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.stages import train_stages
from libs.training.trainer import Trainer
from libs.utils import UserError

FP32 = Precision("fp32", torch.device("cpu"))
SMALL = {"in_channels": 1, "ch": 8, "ch_mult": [1, 2], "num_res_blocks": 1, "z_channels": 2}
STEPS = 4  # an epoch: 30 digits in batches of 7


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory):
    """A checkpoint of a barely trained autoencoder of 8x8 digits."""
    folder = tmp_path_factory.mktemp("autoencoder")
    settings = [f"autoencoder.{key}={value}" for key, value in SMALL.items()]
    settings += ["dataset.subset=0.02", "loader.batch_size=7", "train_cfg.eval_images=8"]
    settings += ["stages=[{epochs: 1, resolution: 8}]", "features=null"]
    config = load_config("configs/digits_autoencoder.yaml", settings, AutoencoderConfig)
    return train_stages(config, folder, FP32, Processes())


@pytest.fixture
def make_trainer(autoencoder, tmp_path):
    def make(*overrides, state=None):
        settings = [f"vae.weights={autoencoder}", "dataset.subset=0.02", "loader.batch_size=7"]
        settings += ["model.img_shape=[1,8,8]", "model.dim=8", "model.timesteps=10"]
        settings += ["train_cfg.eval_images=8"]
        settings += ["dataset.latent_cache=false", "train_cfg.num_eval_samples=0"]
        settings += [f"output_folder={tmp_path}", "vae.freeze_vae_epoch=3", "train_cfg.epochs=4"]
        config = load_config("configs/digits_latent.yaml", [*settings, *overrides])
        learner = DiffusionLearner(config, FP32, Processes())
        folder = tmp_path / "run"
        return Trainer(learner, config, folder, FP32, Processes(), 100, 1, state)

    return make


def of_vae(weights):
    return {k: v.clone() for k, v in weights.items() if "vae." in k and "standardize" not in k}


def same(one, other):
    return all(torch.equal(one[key], other[key]) for key in one)


def test_it_learns_until_its_epoch_and_stays_from_then_on(make_trainer, tmp_path):
    """Epochs 1 and 2 change the autoencoder, 3 and 4 do not; what stays is its average."""
    trainer = make_trainer()
    before = of_vae(trainer.learner.model.state_dict())
    trainer.fit()
    states = [checkpoint.read(tmp_path / f"run/epoch-000{n}.pth") for n in (1, 2, 3)]
    first, second, third = (of_vae(state["model"]) for state in states)
    final = of_vae(trainer.learner.model.state_dict())
    assert not same(before, first)
    assert not same(first, second)
    assert same(third, final)
    average = states[1]["ema"]["average"]
    assert all(torch.equal(final[name], value) for name, value in of_vae(average).items())


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [STEPS + 2, 2 * STEPS, 3 * STEPS + 1])
def test_resume_is_exact(make_trainer, tmp_path, stop_at):
    """A run that stops before, at and after the freeze goes on to the very same weights."""
    straight = make_trainer()
    straight.fit()
    expected = straight.learner.model.state_dict()
    for path in (tmp_path / "run").glob("*.pth"):
        path.unlink()
    make_trainer(f"train_cfg.max_steps={stop_at}").fit()
    state = checkpoint.read(tmp_path / "run")
    assert state["step"] == stop_at
    resumed = make_trainer(state=state)
    resumed.fit()
    assert same(expected, resumed.learner.model.state_dict())


def test_the_losses_are_told_apart(make_trainer):
    """The curve compares diffusion losses alone; what training minimises is named beside them."""
    learner = make_trainer("vae.vae_lambda=0.25").learner
    freeze = learner.config.vae.freeze_vae_epoch
    extra = f", plus 0.25 times the autoencoder's loss until epoch {freeze}"
    assert learner.loss_name == "mean squared error of the noise"
    assert learner.objective_name.removeprefix(learner.loss_name).endswith(extra)


def test_the_diffusion_loss_does_not_reach_the_autoencoder(make_trainer):
    """Without a weight of its own loss, the autoencoder gets no gradient but zero."""
    trainer = make_trainer("vae.vae_lambda=0")
    trainer.learner.begin_epoch(0)
    images, labels = trainer.splits.train.__getitems__([(i, 0) for i in range(7)])
    batch = trainer.learner.prepare(0, images, labels)
    trainer.learner.updater.loss(*batch)[0].backward()
    vae = trainer.learner.model.vae
    assert all(p.grad is None or not p.grad.any() for p in vae.parameters())
    assert any(p.grad is not None and p.grad.any() for p in trainer.learner.model.parameters())


def test_the_average_of_all_is_what_is_loaded(make_trainer, tmp_path):
    """A model loaded for sampling needs no file of the autoencoder, and has its own weights."""
    trainer = make_trainer()
    trainer.fit()
    loaded = load_model(tmp_path / "run", FP32.device)
    model, config = loaded.model, loaded.config
    assert isinstance(model.vae, FirstStage)
    assert config.vae.autoencoder.z_channels == 2
    final = of_vae(trainer.learner.model.state_dict())
    assert same(final, of_vae(model.state_dict()))


@pytest.mark.parametrize(
    ("override", "words"),
    [("dataset.latent_cache=true", "latent_cache"), ("vae.kind=taesd", "vae.weights")],
)
def test_contradictions_are_refused(make_trainer, override, words):
    """Settings that cannot be combined with training the autoencoder along are refused."""
    with pytest.raises(UserError, match=words):
        make_trainer(override)
