"""Editing: what is known stays exact, what is drawn follows the model, noise gives back images."""

import math
from itertools import pairwise

import pytest
import torch
from PIL import Image

from helpers.scripts import assert_refused, call_script, run_script
from libs.datasets import load_digits
from libs.ddim import sample_ddim
from libs.models.build import load_model
from libs.models.denoisers import Chain, denoiser_of
from libs.models.exact import Mixture, exact_ddpm
from libs.runtime.visualize import save_image
from libs.samplers import editing
from libs.schedules import make_betas

STEPS = 100
CENTRES = torch.tensor([[-0.6, -0.6], [-0.6, 0.6], [0.6, 0.6]])  # of images of two pixels
SPREAD = 0.05


@pytest.fixture(scope="module")
def chain():
    """The chain of a perfect model of three Gaussians, images of one channel and two pixels."""
    betas = make_betas("cosine", STEPS, 1e-4, 0.02)
    return denoiser_of(exact_ddpm(Mixture(CENTRES, SPREAD), (1, 1, 2), betas)).chain(
        None, "trailing"
    )


def eps_of(chain, number):
    return editing.for_labels(chain, torch.zeros(number, dtype=torch.long))


def noise_like(seed):
    generator = torch.Generator().manual_seed(seed)
    return lambda x: torch.randn(x.shape, generator=generator)


def drawn(chain, noise):
    return sample_ddim(eps_of(chain, len(noise)), noise, chain.alphas_cumprod, chain.times)


def nearest_mode(x):
    return torch.cdist(x.flatten(1), CENTRES).min(dim=1)


def test_sdedit_keeps_the_more_the_less_is_redrawn(chain):
    """Strength 0 changes nothing, little of it stays near the image, all of it forgets it."""
    image = CENTRES[0].reshape(1, 1, 1, 2).expand(300, -1, -1, -1)
    noise = noise_like(0)(image)
    stays = []
    for strength in (0.0, 0.3, 1.0):
        x = editing.sdedit(chain, eps_of(chain, 300), image, noise, strength, clip_x0=False)
        distance, mode = nearest_mode(x)
        assert distance.quantile(0.95) < 4 * SPREAD  # always on the data
        stays.append((mode == 0).float().mean().item())
    assert torch.equal(
        editing.sdedit(chain, eps_of(chain, 300), image, noise, 0.0, clip_x0=False), image
    )
    assert stays[0] == 1
    assert stays[1] > 0.7
    assert stays[2] == pytest.approx(1 / 3, abs=0.12)


def test_inpainting_keeps_known_pixels_and_draws_the_others_to_fit(chain):
    """The left pixel at 0.6 fixes the right one; at -0.6 it may be on both sides."""
    image = torch.tensor([[[[0.6, 0.0]]], [[[-0.6, 0.0]]]]).repeat_interleave(200, dim=0)
    mask = torch.tensor([0.0, 1.0]).expand(400, 1, 1, 2)
    x = editing.inpaint(chain, eps_of(chain, 400), image, mask, noise_like(0), clip_x0=False)
    assert torch.equal(x[..., 0], image[..., 0])
    sure, open_ = x[:200, 0, 0, 1], x[200:, 0, 0, 1]
    assert ((sure - 0.6).abs() < 5 * SPREAD).float().mean() > 0.95
    assert ((open_.abs() - 0.6).abs() < 5 * SPREAD).float().mean() > 0.9
    assert 0.3 < (open_ > 0).float().mean() < 0.7


def test_inversion_gives_back_the_image():
    """DDIM draws the image itself from what was found, the noise that it was drawn from."""
    betas = make_betas("linear", STEPS, 1e-4, 0.1)
    chain = denoiser_of(exact_ddpm(Mixture(CENTRES, 0.3), (1, 1, 2), betas)).chain(None, "trailing")
    noise = noise_like(0)(torch.empty(50, 1, 1, 2))
    image = drawn(chain, noise)
    found = editing.invert(chain, eps_of(chain, 50), image)
    again = drawn(chain, found)
    assert (again - image).abs().max() < 1e-3
    assert (found - noise).abs().max() < 1e-2


def test_noise_between_seeds_keeps_its_length():
    """The ends are the two noises; on the way the norm goes evenly from one to the other."""
    first, last = noise_like(0)(torch.empty(2, 1, 16, 16))
    path = editing.between(first, last, 5)
    torch.testing.assert_close(path[0], first)
    torch.testing.assert_close(path[-1], last)
    norms = path.flatten(1).norm(dim=1)
    assert norms.min() > 0.98 * min(first.norm(), last.norm())
    straight = ((first + last) / 2).norm()
    assert straight < 0.8 * norms[2]  # what a straight line would do
    turns = [
        torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).acos().item()
        for a, b in pairwise(path)
    ]
    assert turns == pytest.approx([turns[0]] * 4, rel=0.05)
    assert sum(turns) == pytest.approx(math.pi / 2, abs=0.2)


def labelled_chain():
    """A chain whose noise says what it was asked: the label, and the mean of the top row."""

    def eps_model(x, label, t):
        top = x[:, :, :1].mean(dim=(1, 2, 3), keepdim=True)
        return torch.zeros_like(x) + label[:, None, None, None] + 0.1 * top

    return Chain(eps_model, torch.tensor([0.9, 0.5]), [1, 0])


def test_classes_are_blended_by_their_share():
    """The noise of two classes is mixed linearly by each sample's share."""
    x, t = torch.zeros(3, 1, 2, 2), torch.zeros(3, dtype=torch.long)
    first, last = torch.full((3,), 2), torch.full((3,), 6)
    eps = editing.blended(labelled_chain(), first, last, torch.tensor([0.0, 0.25, 1.0]))(x, t)
    assert eps[:, 0, 0, 0].tolist() == [2, 3, 6]


def test_anagram_is_the_mean_of_both_views():
    """Turned, with the classes exchanged, it is the same; each view has its own."""
    x, t = noise_like(0)(torch.empty(4, 1, 6, 6)), torch.zeros(4, dtype=torch.long)
    six, nine = torch.full((4,), 6), torch.full((4,), 9)
    eps = editing.anagram(labelled_chain(), six, nine)(x, t)
    other = editing.anagram(labelled_chain(), nine, six)(editing.turned(x), t)
    torch.testing.assert_close(editing.turned(eps), other)
    ends = x[:, :, 0].mean(dim=(1, 2)), x[:, :, -1].mean(dim=(1, 2))
    torch.testing.assert_close(eps[:, 0, 0, 0], 7.5 + 0.05 * (ends[0] + ends[1]))
    assert torch.equal(editing.turned(editing.turned(x)), x)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A digit and a mask of its lower half, as files."""
    folder = tmp_path_factory.mktemp("pictures")
    images, _, _ = load_digits("test")
    save_image(images[0].float() / 255, folder / "digit.png")
    mask = torch.zeros(1, 8, 8)
    mask[:, 4:] = 1
    save_image(mask, folder / "mask.png")
    return folder


COMMANDS = {  # flags: columns and rows of the grid
    "--from {}/digit.png --num 2": (10, 2),
    "--from {}/digit.png --strength 0.3 --labels 1,2 --num 3": (2, 3),
    "--from {}/digit.png --mask {}/mask.png --labels 1,2 --num 3": (2, 3),
    "--from {}/digit.png --invert --labels 1,2,3": (4, 1),
    "--between seeds --labels 1,2 --num 5": (5, 2),
    "--between classes --labels 1,2 --num 5": (5, 1),
    "--anagram --labels 6,9 --num 4 --eta 1": (4, 2),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_sample_edits(run_folder, pictures, tmp_path, command):
    """Each flag writes its grid, the same every time; what is known of a picture is in it."""
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    flags = command.format(pictures, pictures).split()
    for file in files:
        process = call_script("code/sample.py", run_folder, *flags, "--out", file)
        assert process.returncode == 0, process.stderr
    assert files[0].read_bytes() == files[1].read_bytes()
    columns, rows = COMMANDS[command]
    width, height = Image.open(files[0]).size
    assert width // 68 == columns
    assert height // 68 == rows
    if "--mask" in command:
        with Image.open(files[0]) as file:
            grid = file.convert("L")
        with Image.open(pictures / "digit.png") as file:
            digit = file.convert("L")
        left, top = grid.width - 68, grid.height - 68  # of the last one
        seen = [
            grid.getpixel((left + 8 * x + 4, top + 8 * y + 4)) for y in range(4) for x in range(8)
        ]
        assert seen == [digit.getpixel((x, y)) for y in range(4) for x in range(8)]


REFUSED = {
    "--strength 0.5": "--from",
    "--mask x.png": "--from",
    "--from x.png": "x.png: missing",
    "--from {}/digit.png --strength 1.5": "--strength",
    "--from {}/digit.png --mask {}/mask.png --invert": "--invert",
    "--from {}/digit.png --anagram": "leave --from out",
    "--anagram": "two classes",
    "--anagram --labels 6,9 --sampler ddpm": "with ddim",
    "--anagram --labels 6,9 --film x.gif": "--film",
}


def test_models_without_classes_or_pictures_are_refused(pictures, tmp_path):
    """Points in the plane are no pictures, and a model without labels has no two classes."""
    options = ["--set", "train_cfg.max_steps=1", "--set", f"output_folder={tmp_path}"]
    points = ["configs/toy_moons.yaml", "--output", "run", *options]
    assert call_script("code/train.py", *points).returncode == 0
    run = tmp_path / "toy_moons_run"
    for flags, words in {
        ("--from", pictures / "digit.png"): "points in the plane",
        ("--between", "classes"): "the model knows none",
        ("--between", "seeds", "--labels", "1"): "trained without labels",
    }.items():
        assert_refused(call_script("code/sample.py", run, *flags, "--steps", "2"), words)


@pytest.mark.parametrize("command", REFUSED)
def test_flags_that_do_not_fit_are_refused(run_folder, pictures, command):
    """Flags of editing that contradict each other end with one sentence and exit code 2."""
    flags = command.format(pictures, pictures).split()
    process = call_script("code/sample.py", run_folder, *flags)
    assert process.returncode == 2
    assert REFUSED[command] in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.slow
def test_trained_model_inverts_and_draws_anagrams(tmp_path):
    """The model of `make demo`: inversion to 1e-3; 80% of the anagrams read in both ways."""
    from sklearn.svm import SVC

    output = f"output_folder={tmp_path}"
    process = run_script(
        "code/train.py", "configs/digits.yaml", "--output", "run", "-c", 15, "--set", output
    )
    assert process.returncode == 0, process.stderr
    trained = load_model(tmp_path / "digits_run", torch.device("cpu"))
    images, labels, _ = load_digits("test")
    chain = denoiser_of(trained.model).chain(100, "trailing")
    number, images = 100, 2 * images[:10].float() / 255 - 1
    with torch.no_grad():
        eps_model = editing.for_labels(chain, labels[:10])
        noise = editing.invert(chain, eps_model, images)
        again = sample_ddim(eps_model, noise, chain.alphas_cumprod, chain.times)
        assert (again - images).square().mean().sqrt() < 1e-3
        pair = torch.full((number,), 6), torch.full((number,), 9)
        x = sample_ddim(
            editing.anagram(chain, *pair),
            noise_like(0)(torch.empty(number, 1, 8, 8)),
            chain.alphas_cumprod,
            chain.times,
            eta=1.0,
            clip_x0=True,
            draw_noise=noise_like(1),
        )
    known, of_known, _ = load_digits("train")
    classifier = SVC(gamma=0.02, C=10).fit(known.float().flatten(1) / 64, of_known)
    views = [(classifier.predict((2 * v + 2).flatten(1))) for v in (x, editing.turned(x))]
    assert (views[0] == 6).mean() > 0.8
    assert (views[1] == 9).mean() > 0.8
