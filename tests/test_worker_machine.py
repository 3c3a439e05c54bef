"""What a worker offers of the machine where a submission was written."""

import argparse
import code
import importlib
import inspect
import sys

import pytest
import torch
from autograder.worker import machine
from autograder.worker.building import construct
from autograder.worker.devices import Away, Devices
from autograder.worker.doubles import passes_on
from autograder.worker.names import own_path
from torch import nn

import libs.ddpm
import libs.edm
import libs.schedules
from helpers.files import ROOT


class Parser(argparse.ArgumentParser):
    """A parser of its own, so that the others stay as they are."""


def test_required_arguments_take_their_defaults(monkeypatch):
    """Whatever is required has its default at import; given arguments are parsed as ever."""
    monkeypatch.setattr(Parser, "parse_known_args", Parser.parse_known_args, raising=False)
    machine.with_defaults(Parser)
    parser = Parser()
    parser.add_argument("config")
    parser.add_argument("--lr", type=float, required=True)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_mutually_exclusive_group(required=True).add_argument("--a")
    monkeypatch.setattr(sys, "argv", ["worker"])
    found = parser.parse_args()
    assert (found.config, found.lr, found.steps, found.a) == (None, None, 3, None)
    assert parser.parse_args(["x", "--lr", "2"]).lr == 2


def test_libs_are_found_as_code_libs(monkeypatch):
    """One module under both names, and Python's own `code` keeps what it has."""
    monkeypatch.setattr(code, "__path__", [], raising=False)
    monkeypatch.setattr(code, "libs", None, raising=False)
    finder = machine.OtherNames(str(ROOT / "code"))
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    for name in ("code.libs", "code.libs.schedules"):
        monkeypatch.setitem(sys.modules, name, None)
        del sys.modules[name]
    schedules = importlib.import_module("code.libs.schedules")
    assert schedules is libs.schedules
    assert schedules.__spec__.name == "libs.schedules"
    assert code.InteractiveConsole


def test_what_only_shows_does_nothing():
    """Modules that are not there can be used in every way that shows something."""
    module = machine.Showing("wandb")
    _, axes = module.subplots(1, 2)
    axes[0].plot([1], label="x").set(title="y")
    with module.init(project="z") as run:
        run.log({"loss": 1.0})
    with pytest.raises(AttributeError):
        module.__path_that_is_none__  # noqa: B018
    finder = machine.StandIns()
    assert finder.find_spec("wandb.sdk", None)
    assert not finder.find_spec("torchvision", None)


def test_compiling_changes_nothing():
    """As a function, as a decorator, and with options."""
    assert machine.uncompiled(len) is len
    assert machine.uncompiled(mode="max-autotune")(len) is len


def test_a_gpu_by_name():
    """It is the CPU, and in calls with the second device it is that device."""
    with machine.Gpu():
        x = torch.ones(2, device="cuda").cuda(0).to("cuda:0") + torch.zeros(2).to(
            torch.device("cuda")
        )
        assert x.device.type == "cpu"
        assert torch.device("cuda").type == "cuda"
        assert nn.Linear(2, 2).cuda().weight.device.type == "cpu"
    away = torch.ones(2).as_subclass(Away)
    with Devices():
        for there in (
            torch.zeros(2).cuda(),
            torch.zeros(2, device="cuda"),
            torch.zeros(2).to("cuda"),
        ):
            assert isinstance(away + there, Away)
        with pytest.raises(RuntimeError, match="same device"):
            away + torch.zeros(2)


class Own(nn.Module):
    """In the place of a layer that is not there."""

    def forward(self, x, *condition):
        return x


@pytest.mark.parametrize("kind", [libs.ddpm.DDPM, libs.edm.EDM])
def test_networks_that_nobody_asks_stay_empty(kind):
    """A model is built around empty networks, its default network included, and only then."""
    module = kind.__module__.removeprefix("libs.")
    default = inspect.signature(kind).parameters["network"].default
    built = construct(module, kind, {"img_shape": (3, 32, 32), "use_vae": True})
    assert sum(parameter.numel() for parameter in built.parameters()) < 10
    assert inspect.signature(kind).parameters["network"].default is default
    assert isinstance(kind(img_shape=(1, 8, 8), dim=8, dim_mults=(1, 2)).model, default)


def test_what_returns_its_input_is_nothing():
    """nn.Identity, a module of the team's own, and no other."""
    assert all(map(passes_on, (nn.Identity(), Own(), nn.Sequential())))
    others = (nn.Upsample(scale_factor=2), nn.SiLU(), nn.Conv2d(8, 8, 1), nn.AvgPool2d(2))
    assert not any(map(passes_on, others))


def holder(**parts) -> nn.Module:
    """A module with these parts, which may be methods."""
    module = nn.Module()
    for name, part in parts.items():
        setattr(module, name, part)
    return module


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (holder(vae=holder(encoder=Own(), encode=len)), "vae.encoder"),
        (holder(vae=holder(encode=len)), "vae.encode"),
        (holder(first_stage=holder(encoder=Own())), "first_stage.encoder"),
        (holder(encoder=Own()), "encoder"),
        (holder(vae_encoder=Own(), model=holder(encoder=Own())), "vae_encoder"),
        (holder(model=holder(encoder=Own())), "vae.encoder"),
    ],
)
def test_an_autoencoder_of_another_form_is_found(model, path):
    """By its parts, then by methods, then on the model; the UNet's encoder is none."""
    assert own_path(model, "vae.encoder") == path
    assert own_path(model, "model") == "model"
