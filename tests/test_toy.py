"""Points in the plane: the data, the exact denoiser, samplers against it, and a run of the MLP."""

import pytest
import torch

from helpers.scripts import call_script
from libs import config
from libs.data.toy import RADIUS, SPREAD, TOYS, ring_centres, toy_points
from libs.datasets import load_splits
from libs.models.exact import ExactEDM, Mixture, exact_ddpm
from libs.models.mlp import MLP
from libs.runtime.visualize import CLOUD, image_grid, point_cloud
from libs.samplers.convergence import errors, final_states, order
from libs.samplers.sampler import Sampler
from libs.schedules import make_betas
from libs.utils import UserError

POINT = (2, 1, 1)
BROKEN = {
    "model.img_shape=[1, 8, 8]": "for points",
    "model.prediction=v": "model.prediction",
    "model.adagn=true": "model.adagn",
}


def ring():
    return Mixture(ring_centres(), SPREAD).double()


@pytest.mark.parametrize("name", TOYS)
def test_points_are_where_a_model_sees_images(name):
    """Within [-1, 1], the same every time, other ones for the test, and not all in one place."""
    train, test = toy_points(name, "train"), toy_points(name, "test")
    assert train.shape[1:] == test.shape[1:] == (2,)
    assert train.abs().max() <= 1
    assert torch.equal(train, toy_points(name, "train"))
    assert not torch.equal(train[: len(test)], test)
    assert (train.std(dim=0) > 0.25).all()


def test_checkerboard_is_on_the_dark_squares():
    """Points of the checkerboard are on its eight dark squares, evenly."""
    column, row = (toy_points("Checkerboard", "train") * 2 + 2).floor().long().clamp(max=3).T
    assert ((column + row) % 2 == 0).all()
    counts = (4 * row + column).bincount(minlength=16)
    assert counts.count_nonzero() == 8
    assert counts.max() < 1.2 * counts[counts > 0].min()


def test_data_set_keeps_points_exact():
    """As images in [0, 1] they are the points of data/toy.py, not rounded to 256 levels."""
    settings = config.load_config("configs/toy_gaussians.yaml")
    splits = load_splits(settings.dataset, settings.model.img_shape)
    images, labels = splits.train.at_most(50).plain().__getitems__([(i, 0) for i in range(50)])
    known = (toy_points("Gaussians", "train") + 1) / 2
    assert images.shape == (50, *POINT)
    exactly = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(images.flatten(1), known, compute_mode=exactly)
    assert distances.min(dim=1).values.max() < 1e-7
    assert labels.tolist() == [0] * 50
    with pytest.raises(UserError, match="points in the plane"):
        load_splits(settings.dataset, (1, 8, 8))


def test_exact_denoiser_is_the_mean_of_the_posterior():
    """Against importance sampling: the mean of data points, weighed by how likely x is from it."""
    generator = torch.Generator().manual_seed(0)
    data = TOYS["Gaussians"](400_000, generator).double()
    for x in ((0.3, 0.2), (-0.9, 1.0)):
        for sigma in (0.2, 0.7):
            place = torch.tensor([x], dtype=torch.float64)
            weights = (-(place - data).square().sum(dim=1) / (2 * sigma**2)).softmax(dim=0)
            found = ring().denoised(place, torch.tensor([sigma], dtype=torch.float64))
            torch.testing.assert_close(found[0], weights @ data, atol=5e-3, rtol=0)


def test_exact_denoiser_is_the_score():
    """Tweedie's formula: D(x) = x + sigma^2 grad log p(x), by automatic differentiation."""
    sigma = 0.35
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x.requires_grad_()
    distances = torch.cdist(x, ring_centres().double()).square()
    log_p = (-distances / (2 * (SPREAD**2 + sigma**2))).logsumexp(dim=1)
    (score,) = torch.autograd.grad(log_p.sum(), x)
    found = ring().denoised(x, torch.full((20,), sigma, dtype=torch.float64))
    torch.testing.assert_close(found, x + sigma**2 * score)


@pytest.mark.parametrize(("name", "expected"), [("ddim", 1), ("dpm++", 2), ("heun", 2)])
def test_samplers_have_their_order(name, expected):
    """Against the truth of the exact denoiser, where no network's error hides the sampler's."""
    model, steps = ExactEDM(Mixture(ring_centres(), SPREAD), POINT), [40, 80]
    found = errors(model, Sampler(name), steps, number=200)
    assert order(found, steps) == pytest.approx(expected, abs=0.35)
    assert found[-1] < 0.01


@pytest.mark.parametrize("sampler", ["own", "ddpm", "ddim", "dpm++", "deis", "heun"])
def test_every_sampler_draws_the_mixture_from_an_exact_ddpm(sampler):
    """As many points at each Gaussian as chance allows, and of its spread."""
    betas = make_betas("cosine", 200, 1e-4, 0.02)
    model = exact_ddpm(Mixture(ring_centres(), SPREAD), POINT, betas)
    steps = 80 if sampler == "heun" else None  # the others take all
    points = 2 * final_states(model, Sampler(sampler, steps), 800).flatten(1) - 1
    distance, mode = torch.cdist(points, ring_centres()).min(dim=1)
    assert mode.bincount(minlength=8).min() > 60  # of 100; the deviation is 9.4
    spread = (distance.square().mean() / 2).sqrt().item()
    assert spread == pytest.approx(SPREAD, rel=0.2)
    assert distance.max() < RADIUS


def test_best_denoiser_of_the_training_set_memorises():
    """It draws training points alone, all of them."""
    few = toy_points("Moons", "train")[:20]
    drawn = 2 * final_states(ExactEDM(Mixture(few), POINT), Sampler("heun", 40), 400).flatten(1) - 1
    distance, nearest = torch.cdist(drawn, few).min(dim=1)
    assert distance.quantile(0.99) < 0.01
    assert len(nearest.unique()) == 20


def test_mlp_takes_the_arguments_of_the_unet():
    """The MLP can replace the UNet, and its output depends on label and time as it should."""
    net = MLP(dim=16, context_dim=8, num_classes=3, in_channels=2, dim_mults=[1], attn_levels=[])
    x, time = torch.randn(4, *POINT), torch.tensor([0, 1, 2, 3])
    first, other = net(x, torch.zeros(4).long(), time), net(x, torch.ones(4).long(), time)
    assert first.shape == x.shape
    assert not torch.equal(first, other)
    assert not torch.equal(first, net(x, torch.zeros(4).long(), time + 1))
    blind = MLP(16, 8, 3, 2, conditional=False)
    assert torch.equal(blind(x, torch.zeros(4).long(), time), blind(x, torch.ones(4).long(), time))


@pytest.mark.parametrize("change", BROKEN)
def test_config_refuses_what_an_mlp_cannot_do(change):
    """Options that mean nothing to the MLP are refused."""
    with pytest.raises(UserError, match=BROKEN[change]):
        config.load_config("configs/toy_moons.yaml", [change])


def test_point_cloud_puts_points_in_their_places():
    """x to the right and y upwards; what is on the border was beyond it."""
    points = torch.tensor([[0.25, 0.75], [1.0, 0.5], [0.0, 0.0]])[:, :, None, None]
    dark = (point_cloud(points)[0] < 0.5).nonzero().float()
    assert len(dark) == 9
    assert dark.mean(dim=0).tolist() == [CLOUD // 4, CLOUD // 4]
    assert image_grid(points, 10).shape == (3, CLOUD, CLOUD)


@pytest.fixture(scope="module")
def toy_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    settings = "train_cfg.max_steps=20", "train_cfg.num_eval_samples=50", f"output_folder={folder}"
    overrides = [part for s in settings for part in ("--set", s)]
    args = "code/train.py", "configs/toy_spiral.yaml", "--output", "run", *overrides
    process = call_script(*args)
    assert process.returncode == 0, process.stderr
    return folder / "toy_spiral_run"


def test_run_of_points_has_pictures_and_a_page(toy_run, tmp_path):
    """All points are in one picture; sample.py draws grid and film; evaluate.py refuses."""
    page = (toy_run / "index.html").read_text(encoding="utf-8")
    assert page.count("<canvas") == 1
    assert "evaluate.py" not in page
    grid, film = tmp_path / "grid.png", tmp_path / "film.gif"
    process = call_script("code/sample.py", toy_run, "--num", 30, "--out", grid, "--film", film)
    assert process.returncode == 0, process.stderr
    assert grid.stat().st_size > 0 < film.stat().st_size
    process = call_script("code/evaluate.py", toy_run)
    assert process.returncode == 2
    assert "notebooks/toy.ipynb" in process.stderr
