"""Mistakes in a student's code end in one sentence with the student's function, file and line."""

import contextlib
import io
import linecache
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch

import libs.ddim
import libs.ddpm
import libs.edm
import libs.unet
from helpers.files import ROOT
from helpers.models import make_model
from helpers.scripts import assert_refused, call_script, run_script
from libs.config import Config
from libs.metrics import scoring, verdict
from libs.runtime import cli
from libs.runtime.device import Precision
from libs.samplers import draw as drawing
from libs.samplers import sampler
from libs.samplers.draw import draw_samples
from libs.samplers.film import Film
from libs.samplers.sampler import Sampler
from libs.training.diffusion_losses import TrainingLoss

LIBS = Path(libs.ddpm.__file__).parent
SIZES = {"img_shape": (1, 8, 8), "timesteps": 3, "dim": 8, "context_dim": 8, "num_classes": 3}


@pytest.fixture
def edited(monkeypatch):
    """Gives a module of libs with lines replaced, as if its file had been edited, and restores it.

    The file keeps its name, and tracebacks show the edited lines.
    """

    def edit(name: str, *changes: tuple[str, str]) -> types.ModuleType:
        file = str(LIBS / f"{name}.py")
        text = Path(file).read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1, (old, text.count(old))
            text = text.replace(old, new)
        monkeypatch.setitem(linecache.cache, file, (1, None, text.splitlines(True), file))
        module = types.ModuleType(f"libs.{name.replace('/', '.')}")
        module.__file__, module.__package__ = file, module.__name__.rpartition(".")[0]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(text, file, "exec"), vars(module))
        return module

    return edit


def line_of(name: str, text: str) -> int:
    """The number of the one line of an edited file that holds a text."""
    lines = linecache.getlines(str(LIBS / f"{name}.py"))
    (number,) = [i for i, line in enumerate(lines, 1) if text in line]
    return number


def told(work) -> str:
    """What a script prints on stderr that does this work; it must end with code 2."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), pytest.raises(SystemExit) as end:
        cli.run(work)
    assert end.value.code == 2
    return err.getvalue()


def one_sentence(text: str, *words: str) -> None:
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    for word in words:
        assert word in text, text


def loss_of(model) -> torch.Tensor:
    config = Config()
    batch = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    is_edm = hasattr(model, "denoise")
    t = torch.rand(4) + 0.1 if is_edm else torch.tensor([0, 1, 2, 1])
    return TrainingLoss(model, config)(*batch, t, torch.randn(4, 1, 8, 8))


def draw(model, **options) -> list[torch.Tensor]:
    precision = Precision("fp32", torch.device("cpu"))
    return list(draw_samples(model, torch.tensor([0, 2]), precision, **options))


# Functions that give nothing, or something else

Q_SAMPLE = "return signal_rate * x_start + noise_rate * noise"
LOSS = "return F.mse_loss(predicted_noise, noise)"
POST = "return self.postprocess(x)"
LOSSES = {
    "None": (LOSS, "F.mse_loss(predicted_noise, noise)", "returned None, expected the loss"),
    "one per image": (LOSS, LOSS.replace(")", ', reduction="none")'), "shape [4, 1, 8, 8]"),
    "a number": (LOSS, LOSS + ".item()", "returned float"),
    "of numpy": (LOSS, LOSS + ".detach().numpy()", "returned ndarray"),
    "a pair": (LOSS, LOSS + ", x_t.detach()", " ..., expected the loss"),
    "detached": (LOSS, LOSS + ".detach()", "depends on no weight of the network"),
}


@pytest.mark.parametrize("case", LOSSES)
def test_a_loss_that_is_none(edited, case):
    """A compute_loss that gives no scalar with a gradient is named with the line of its def."""
    old, new, words = LOSSES[case]
    ddpm = edited("ddpm", (old, new))
    place = f"compute_loss in code/libs/ddpm.py, line {line_of('ddpm', 'def compute_loss')}"
    one_sentence(told(lambda: loss_of(ddpm.DDPM(**SIZES))), place, words)


RESULTS = {
    "q_sample None": (Q_SAMPLE, "signal_rate * x_start", "q_sample", "returned None"),
    "q_sample rate": (Q_SAMPLE, "return signal_rate", "q_sample", "shape [4, 1, 1, 1]"),
    "p_sample_loop None": (POST, "x = self.postprocess(x)", "p_sample_loop", "returned None"),
    "p_sample_loop list": (POST, "return [x]", "p_sample_loop", "returned list"),
    "p_sample_loop of numpy": (POST, POST + ".numpy()", "p_sample_loop", "returned ndarray [[[["),
    "p_sample_loop flat": (POST, "return x[0]", "p_sample_loop", "shape [1, 8, 8]"),
    "p_sample_loop few": (
        POST,
        "return x[:1]",
        "p_sample_loop",
        "expected images, [2, 1, 8, 8]",
    ),
}


@pytest.mark.parametrize("case", RESULTS)
def test_results_that_are_none(edited, case):
    """What q_sample and p_sample_loop give is looked at before anyone else fails on it."""
    old, new, name, words = RESULTS[case]
    ddpm = edited("ddpm", (old, new))
    model = ddpm.DDPM(**SIZES)
    work = (lambda: loss_of(model)) if name == "q_sample" else lambda: draw(model)
    place = f"{name} in code/libs/ddpm.py, line {line_of('ddpm', f'def {name}(')}"
    one_sentence(told(work), place, words)


def test_a_step_that_gives_nothing(edited):
    """p_sample without its last return is named, though p_sample_loop fails on what it gave."""
    old = "return mean + variance.sqrt() * torch.randn_like(x)"
    ddpm = edited("ddpm", (old, "mean + variance.sqrt()"))
    model = ddpm.DDPM(**SIZES)
    place = f"p_sample in code/libs/ddpm.py, line {line_of('ddpm', 'def p_sample(')}"
    words = place, "returned None, expected x_{t-1}, [2, 1, 8, 8]: is a return missing?"
    one_sentence(told(lambda: draw(model, film=Film(model))), *words)


def test_arguments_given_by_name_may_come_in_any_order(edited):
    """A right step is not refused because its call names t, or the labels, before the images."""
    ddpm = edited(
        "ddpm",
        ("self.q_sample(x_start, t, noise)", "self.q_sample(t=t, noise=noise, x_start=x_start)"),
        (
            "self.p_sample(x, labels, t, t_index)",
            "self.p_sample(t_index=t_index, t=t, label=labels, x=x)",
        ),
    )
    model = ddpm.DDPM(**SIZES)
    assert loss_of(model).requires_grad
    film = Film(model)
    assert draw(model, film=film)[0].shape == film.frames[0].shape == (2, 1, 8, 8)


def test_samplers_that_give_nothing(edited, monkeypatch):
    """A ddim_step or heun_step without return is reported where it is noticed first."""
    ddim = edited("ddim", ("return x_next + sigma * noise if sigma > 0 else x_next", "pass"))
    monkeypatch.setattr(sampler, "importlib", types.SimpleNamespace(import_module=lambda *_: ddim))
    model = libs.ddpm.DDPM(**SIZES)
    place = f"sample_ddim in code/libs/ddim.py, line {line_of('ddim', 'def sample_ddim')}"
    work = told(lambda: draw(model, sampler=Sampler("ddim", 2)))
    one_sentence(work, place, "gave on_step None, expected the state after a step, [2, 1, 8, 8]")

    edm = edited("edm", ("    return x_next\n", "    x_next\n"))
    monkeypatch.setattr(drawing, "heun_step", edm.heun_step)
    monkeypatch.setattr(drawing, "sample_heun", edm.sample_heun)
    sizes = {name: size for name, size in SIZES.items() if name != "timesteps"}
    model = libs.edm.EDM(**sizes, steps=2)
    place = f"heun_step in code/libs/edm.py, line {line_of('edm', 'def heun_step')}"
    one_sentence(told(lambda: draw(model)), place, "returned None")


def test_a_denoiser_that_gives_nothing(edited, monkeypatch):
    """EDM's denoise is named by its sampler, and in training, where compute_loss calls it."""
    old = "return c_skip * x + c_out * self.model(c_in * x, label, c_noise)"
    edm = edited("edm", (old, "self.model(c_in * x, label, c_noise)"))
    sizes = {name: size for name, size in SIZES.items() if name != "timesteps"}
    monkeypatch.setattr(libs.edm.EDM, "denoise", edm.EDM.denoise)
    model = libs.edm.EDM(**sizes)
    place = f"denoise in code/libs/edm.py, line {line_of('edm', 'def denoise')}"
    one_sentence(told(lambda: draw(model, sampler=Sampler("heun", 2))), place, "returned None")
    one_sentence(told(lambda: loss_of(model)), place, "returned None")


@pytest.mark.parametrize("scale", [None, 2.0])
def test_a_network_that_gives_nothing(edited, scale):
    """A forward pass without return is named by samplers, with guidance and without."""
    unet = edited("unet", ("return self.final_conv(x)", "self.final_conv(x)"))
    model = make_model(**SIZES, label_dropout=0.1)
    model.model.__class__ = unet.UNet
    place = f"forward in code/libs/unet.py, line {line_of('unet', 'def forward')}"
    work = told(lambda: draw(model, sampler=Sampler("ddim", 2, guidance=scale)))
    one_sentence(work, place, "returned None, expected the noise")


def test_metrics_that_give_nothing(edited, monkeypatch):
    """The functions of the bonus parts are named as well."""
    fid = edited("metrics/fid", ("return distance.clamp(min=0).item()", "pass"))
    monkeypatch.setattr(scoring, "frechet_distance", fid.frechet_distance)
    features = torch.randn(5, 2)
    work = told(lambda: scoring.frechet_of_features(features, features))
    line = line_of("metrics/fid", "def frechet_distance")
    one_sentence(work, f"frechet_distance in code/libs/metrics/fid.py, line {line}", "None")
    for name in ("statistics", "nearest_neighbour_ratio"):
        module, function = (scoring, scoring.frechet_of_features)
        if name == "nearest_neighbour_ratio":
            module, function = (verdict, verdict._ratio)

        def nothing(*_: torch.Tensor) -> None: ...

        monkeypatch.setattr(module, name, nothing)
        one_sentence(told(lambda function=function: function(features, features)), "nothing in")


# Exceptions inside a student's code

CAT = "x = torch.cat([x, skips.pop()], dim=1)"


def test_shapes_in_the_decoder(edited):
    """A decoder that joins nothing is named by its own line and caller, with the shapes there."""
    unet = edited("unet", (CAT, "x = x + 0 * skips.pop()"))
    model = libs.ddpm.DDPM(**SIZES)
    model.model.__class__ = unet.UNet
    text = told(lambda: loss_of(model))
    line = line_of("unet", CAT[:4] + "x + 0 * skips.pop()") + 1  # the call of res_block below it
    one_sentence(
        text,
        f"forward in code/libs/unet.py, line {line}, failed: RuntimeError: ",
        "in forward in code/libs/blocks.py, line ",
        "there x is [4, 32, 2, 2], t_emb is [4, 32]",
        "called from compute_loss in code/libs/ddpm.py, line ",
        "(--debug shows the traceback)",
    )
    called = next(
        i
        for i, line in enumerate((LIBS / "ddpm.py").read_text(encoding="utf-8").splitlines(), 1)
        if "predicted_noise = self.model(x_t, label, t)" in line
    )
    assert f"code/libs/ddpm.py, line {called} (" in text


def test_exceptions_of_torch_and_python(edited):
    """The innermost student's line is named, not torch's; None is traced to where it came from."""
    old = "predicted_noise = self.model(x_t, label, t)"
    for new, words in {
        "predicted_noise = None": ["predicted_noise is None, from None in line {line}"],
        "predicted_noise = self.network(x_t)": ["AttributeError", "no attribute 'network'"],
        "predicted_noise = self.model(x_t, label)": ["TypeError", "missing 1 required", "'time'"],
        "predicted_noise = x_t @ label": ["RuntimeError", "x_t is [4, 1, 8, 8], label is [4]"],
        "predicted_noise = nose": ["NameError: name 'nose' is not defined"],
    }.items():
        ddpm = edited("ddpm", (old, new))
        model = ddpm.DDPM(**SIZES)
        line = line_of("ddpm", new)
        failing = line_of("ddpm", LOSS) if new.endswith("None") else line
        place = f"error: compute_loss in code/libs/ddpm.py, line {failing}, failed: "
        words = [word.format(line=line) for word in words]
        one_sentence(told(lambda model=model: loss_of(model)), place, *words)


def test_calls_of_a_step_with_wrong_arguments(edited):
    """p_sample is watched while samples are drawn; the line that calls it is named all the same."""
    ddpm = edited("ddpm", ("x = self.p_sample(x, labels, t, t_index)", "x = self.p_sample(x)"))
    model = ddpm.DDPM(**SIZES)
    line = line_of("ddpm", "x = self.p_sample(x)")
    place = f"error: p_sample_loop in code/libs/ddpm.py, line {line}, failed: TypeError: "
    one_sentence(told(lambda: draw(model)), place, "p_sample", "missing 3 required")


def test_functions_with_other_arguments_or_names(edited, monkeypatch):
    """A function that takes other arguments than the contract says, or is gone, is named."""
    old = "self, x_start: Tensor, label: Tensor, t: Tensor, noise: Tensor | None = None\n"
    ddpm = edited("ddpm", (old, "self, x_start: Tensor, label: Tensor\n"))
    line = line_of("ddpm", "def compute_loss")
    text = told(lambda: loss_of(ddpm.DDPM(**SIZES)))
    one_sentence(text, f"compute_loss in code/libs/ddpm.py, line {line}", "takes 3 positional")
    assert "as forward in code/libs/training/diffusion_losses.py, line " in text

    ddpm = edited("ddpm", ("def p_sample(self", "def sample_p(self"))
    text = told(lambda: draw(ddpm.DDPM(**SIZES)))
    one_sentence(text, "DDPM in code/libs/ddpm.py has no p_sample", "code/libs/samplers/film.py")

    def frame_of_ours() -> None:
        code = compile("from libs.ddpm import DPM", str(LIBS / "checkpoint.py"), "exec")
        exec(code, {})

    one_sentence(told(frame_of_ours), "code/libs/ddpm.py has no DPM", "checkpoint.py, line 1")


def test_files_that_students_add_or_change(edited, monkeypatch):
    """What a student's own file or a given one refuses counts for the line that called it."""
    for file in ("my_blocks.py", "schedules.py"):
        own = {}
        exec(compile("def mix(x):\n    return x + undefined\n", str(LIBS / file), "exec"), own)
        ddpm = edited("ddpm", (Q_SAMPLE, "return mix(x_start)"))
        ddpm.mix = own["mix"]
        text = told(lambda ddpm=ddpm: loss_of(ddpm.DDPM(**SIZES)))
        line = line_of("ddpm", "return mix(x_start)")
        place = f"q_sample in code/libs/ddpm.py, line {line}, failed: NameError"
        one_sentence(text, place, f"in mix in code/libs/{file}, line 2")


def test_changes_in_place(edited):
    """A gradient lost to a change in place is explained, though our line computes it."""
    old = "x = self.mid_attn(x, context)"
    unet = edited("unet", (old, old + "; x.sigmoid_(); x *= 2"))
    model = libs.ddpm.DDPM(**SIZES)
    model.model.__class__ = unet.UNet
    one_sentence(told(lambda: loss_of(model).backward()), "changed a tensor in place")


def test_files_that_python_cannot_read():
    """A file with a syntax error is named with its line."""
    text = "import math\n\ndef q_sample(self:\n    pass\n"

    def imports() -> None:
        compile(text, str(LIBS / "ddpm.py"), "exec")

    one_sentence(told(imports), "code/libs/ddpm.py, line 3: '(' was never closed: ")


# What is not a mistake of a student


def test_our_mistakes_keep_their_traceback(edited, monkeypatch):
    """An exception in our code is passed on as it is, also below a student's p_sample_loop."""
    model = libs.ddpm.DDPM(**SIZES)

    def broken(*_: object) -> None:
        code = compile("1 / 0", str(LIBS / "progress.py"), "exec")
        exec(code, {})

    monkeypatch.setattr(Film, "record", broken)
    with pytest.raises(ZeroDivisionError):
        cli.run(lambda: draw(model, film=Film(model)))
    with pytest.raises(KeyError):
        cli.run(lambda: {}["x"])


def test_debug_shows_the_traceback(edited, monkeypatch):
    """--debug, which every script takes, prints the traceback before the sentence."""
    ddpm = edited("ddpm", (LOSS, "return undefined"))
    model = ddpm.DDPM(**SIZES)
    monkeypatch.setattr(sys, "argv", ["train.py", "--debug", "config.yaml"])

    def work() -> None:
        assert sys.argv == ["train.py", "config.yaml"]
        loss_of(model)

    text = told(work)
    assert text.startswith("Traceback")
    assert text.splitlines()[-1].startswith("error: compute_loss in code/libs/ddpm.py, line ")
    process = call_script("code/sample.py", "nowhere.pth", "--debug")
    assert process.returncode == 2
    assert "UserError" in process.stderr


def test_memory_that_is_full_is_no_mistake_in_the_network():
    """Where memory is too small, the sentence says so, and blames no line."""

    def work() -> None:
        code = "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 3 GiB')"
        exec(compile(code, str(LIBS / "unet.py"), "exec"), {"torch": torch})

    text = told(work)
    one_sentence(text, "too little memory", "smaller batch", "Tried to allocate 3 GiB")
    assert "unet.py" not in text


def test_the_list_of_students_files_is_that_of_the_release():
    """Whichever file has a region to fill in is known to be a student's."""
    marked = {
        path.relative_to(LIBS).as_posix()
        for path in LIBS.rglob("*.py")
        if "# BEGIN SOLUTION" in path.read_text(encoding="utf-8")
    }
    assert marked == set(cli.STUDENTS)
    assert all((LIBS / name).exists() for name in cli.CALLED_BACK)


@pytest.mark.slow
def test_train_ends_in_the_students_line(tmp_path, digits_args):
    """train.py of a copy with a broken compute_loss prints one sentence, and leaves no run."""
    shutil.copytree(ROOT / "code", tmp_path / "code")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    file = tmp_path / "code" / "libs" / "ddpm.py"
    text = file.read_text(encoding="utf-8").replace(LOSS, "F.mse_loss(predicted_noise, noise)")
    file.write_text(text, encoding="utf-8")
    process = run_script(*digits_args, cwd=tmp_path)
    assert_refused(process, "compute_loss in code/libs/ddpm.py, line ", "returned None")
    assert not list((tmp_path / "logs").rglob("*.yaml"))
