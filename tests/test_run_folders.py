"""Run folders: which one a run writes to, and what a resumed run may change."""

import pytest

from libs.config import Config, load_config, to_dict
from libs.training import run_folder
from libs.utils import UserError


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


def test_choose_refuses_places_that_cannot_be_written(config, tmp_path):
    """Before data is read and images are encoded, which takes minutes."""
    (tmp_path / "logs").write_text("a file", encoding="utf-8")
    for resumed, words in ((None, "output_folder: "), (tmp_path / "logs/run/a.pth", "--resume: ")):
        with pytest.raises(UserError, match=f"{words}cannot write to .*not a folder"):
            run_folder.choose(config, "digits", None, resumed)


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
