"""The sampling loops never wait for the device: a GPU always has its next kernels queued."""

from functools import partial

import pytest
import torch
from torch.overrides import TorchFunctionMode

from helpers.models import make_model
from libs.ddim import sample_ddim
from libs.ddpm import DDPM
from libs.edm import EDM, Heun, sample_heun
from libs.models.variants import VariantUNet, null_label
from libs.runtime.device import Precision
from libs.samplers.ancestral import sample_ancestral
from libs.samplers.dpm_solver import sample_dpm_solver
from libs.samplers.draw import draw_samples
from libs.samplers.guidance import Guided, guided
from libs.samplers.sampler import Sampler
from libs.stable_diffusion import sample_guided

FP32 = Precision("fp32", torch.device("cpu"))
SMALL = {"dim": 8, "context_dim": 8, "num_classes": 3, "dim_mults": (1, 2), "attn_levels": (0,)}
CHURN = Heun(s_churn=40)
# Calls that bring values from the device to Python, or a tensor's size that depends on values
READING = set("item tolist numpy cpu nonzero argwhere masked_select equal allclose unique".split())
READING |= {"__bool__", "__int__", "__float__", "__index__", "__array__", "__contains__"}
WRITING = {"tensor", "as_tensor", "from_numpy", "cuda"}  # memory that is not pinned is waited for


class Waits(TorchFunctionMode):
    """Lists the calls for which Python would wait if the tensors were a GPU's."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = func.__name__
        given = [*args[1:], *(kwargs or {}).values()]
        moves = name == "to" and any(isinstance(a, torch.device | str) for a in given)
        picks = name == "__getitem__" and any(map(self._is_read, args[1:]))
        if name in READING | WRITING or moves or picks:
            self.calls.append(name)
        return func(*args, **kwargs or {})

    def _is_read(self, index):
        """Whether an index must be copied to the device, or is a mask, whose size is counted."""
        if isinstance(index, tuple):
            return any(map(self._is_read, index))
        return isinstance(index, list) or getattr(index, "dtype", None) == torch.bool


def model_of(sampler, steps, use_vae=False):
    """A model for a sampler; its own chain has so many steps."""
    torch.manual_seed(0)
    shape = (3, 32, 32) if use_vae else (1, 8, 8)
    kind = EDM if sampler.name == "heun" else DDPM
    options = {} if kind is EDM else {"timesteps": steps if sampler.name == "own" else 20}
    network = partial(VariantUNet, null_class=True)
    return kind(shape, **SMALL, use_vae=use_vae, network=network, **options).eval()


SAMPLERS = [
    Sampler(),
    Sampler("ddpm"),
    Sampler("ddim"),
    Sampler("ddim", eta=0.5),
    Sampler("dpm++"),
    Sampler("dpm++", eta=1.0),
    Sampler("heun"),
    Sampler("heun", heun=CHURN),
    Sampler(guidance=2.0),
    Sampler("ddim", guidance=2.0),
    Sampler("heun", guidance=2.0),
]


def waits_of(sampler, steps, use_vae=False, spoil=None):
    """The calls that wait while a batch is drawn in so many steps."""
    model = model_of(sampler, steps, use_vae)
    if spoil is not None:
        model.model.register_forward_hook(lambda module, args, eps: (spoil(eps), None)[1])
    if sampler.name != "own":
        sampler = Sampler(**{**vars(sampler), "steps": steps})
    labels = torch.tensor([0, 2])
    with Waits() as waits:
        for _ in draw_samples(model, labels, FP32, sampler=sampler, show_progress=False):
            pass
    return sorted(waits.calls)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_no_step_waits(sampler):
    """Drawing in twice as many steps makes no more calls that wait: none is made in a step."""
    few = waits_of(sampler, 3)
    assert few.count("cpu") >= 1  # of the finished images, at least: such calls are seen
    assert waits_of(sampler, 6) == few


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.mean().item(),
        lambda x: x.mean().tolist(),
        lambda x: bool(x.isnan().any()),
        lambda x: x[x > 0],
        lambda x: x[[0, 1]],
        lambda x: torch.tensor([1.0, 2.0]),
        lambda x: x.to("cpu"),
    ],
    ids=["item", "tolist", "bool", "mask", "list", "tensor", "to"],
)
def test_a_step_that_waits_is_found(wait):
    """The list is not blind: a network that reads its result, or makes an input, is noticed."""
    sampler = Sampler("ddim")
    found = len(waits_of(sampler, 6, spoil=wait)) - len(waits_of(sampler, 3, spoil=wait))
    assert found == 3


def test_latents_are_decoded_without_a_wait_in_a_step():
    """A latent model's chain is decoded once, in the end."""
    assert waits_of(Sampler("ddim"), 3, True) == waits_of(Sampler("ddim"), 6, True)


# On torch's device "meta" tensors have no values: whatever would read one raises.


@pytest.fixture
def valueless():
    """Noise, labels and a guided network without values."""
    options = {"img_shape": (1, 8, 8), "timesteps": 6, "label_dropout": 0.1}
    model = make_model(**options, **SMALL).eval().to("meta")
    labels = torch.zeros(2, dtype=torch.long, device="meta")
    network = Guided(model.model, 3.0, null_label(model))
    return torch.zeros(2, 1, 8, 8, device="meta"), labels, network, model


def test_meta_refuses_to_be_read(valueless):
    """What the tests below rely on."""
    noise, *_ = valueless
    for read in (torch.Tensor.item, torch.Tensor.tolist, bool, float):
        with pytest.raises((RuntimeError, NotImplementedError)):
            read(noise.mean())
    for read in (torch.Tensor.cpu, lambda x: x[x > 0]):
        with pytest.raises((RuntimeError, NotImplementedError)):
            read(noise)


@pytest.mark.parametrize(
    ("walk", "options"),
    [
        (sample_ancestral, {"clip_x0": True}),
        (sample_ddim, {"clip_x0": True}),
        (sample_ddim, {"eta": 1.0}),
        (sample_dpm_solver, {"clip_x0": True}),
        (sample_dpm_solver, {"eta": 1.0}),
    ],
)
@torch.no_grad()
def test_walks_read_no_value(valueless, walk, options):
    """The loops over time steps, with guidance, run on tensors that have no values."""
    noise, labels, network, _ = valueless
    alphas_cumprod = torch.linspace(0.99, 0.01, 6)
    x = walk(lambda x, t: network(x, labels, t), noise, alphas_cumprod, [5, 3, 1], **options)
    assert x.is_meta
    assert x.shape == noise.shape


@torch.no_grad()
def test_walk_of_stable_diffusion_reads_no_value(valueless):
    """So does the guided loop of Stable Diffusion."""
    noise, labels, _, model = valueless
    alphas_cumprod = torch.linspace(0.99, 0.01, 6)
    x = sample_guided(model.model, noise, labels, labels, alphas_cumprod, [5, 3, 1], 2.0)
    assert x.is_meta


@torch.no_grad()
def test_own_chain_reads_no_value(valueless):
    """So does the model's own chain, with guidance and without."""
    _, labels, _, model = valueless
    assert model.p_sample_loop(labels).is_meta
    with guided(model, 3.0):
        assert model.p_sample_loop(labels).is_meta


@torch.no_grad()
def test_heun_reads_no_value(valueless):
    """So does the loop over noise levels, with churn."""
    noise, labels, *_ = valueless
    edm = EDM((1, 8, 8), **SMALL).eval().to("meta")

    def denoise(x, sigma):
        return edm.denoise(x, labels, torch.full((len(x),), sigma, device=x.device))

    assert sample_heun(denoise, noise, 4, CHURN).is_meta
