"""Stable Diffusion 1.x in the kit's classes, judged by diffusers' pipeline at reduced width."""

import inspect
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from compvis_names import text_to_compvis, unet_to_compvis, vae_to_compvis
from conftest import ROOT, find_asset
from torch import Tensor, nn

from libs import text_to_image
from libs.config import load_config
from libs.first_stage.autoencoder import KLAutoencoder
from libs.sampling import Sampler
from libs.schedules import time_grid
from libs.sd_files import StableDiffusion, load_stable_diffusion
from libs.stable_diffusion import StableDiffusionUNet, rename
from libs.stable_diffusion_config import DEFAULT, StableDiffusionConfig
from libs.text_encoder import VIT_L_14, make_text_model
from libs.text_to_image import Job, draw

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

LEVELS, BLOCKS = 4, 2
TEXT_WIDTH = 64  # of one head, as CLIP's heads have
REDUCED = f"""
dtype: fp32
unet: {{dim: 32, context_dim: {TEXT_WIDTH}}}
vae: {{ch: 32}}
sampling: {{size: 64, steps: 10}}
"""
PROMPTS = ["a red bus", "two dogs on a long, empty beach"]
NEGATIVE = "blurry"
PREFIXES = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.transformer.")


def perturbed(module: nn.Module) -> nn.Module:
    """With all weights moved at random: those that start as 0 or 1 would hide a mix-up."""
    with torch.no_grad():
        for p in module.parameters():
            p.add_(0.03 * torch.randn_like(p))
    return module.eval()


def unet_of(dims: list[int], context_dim: int) -> nn.Module:
    """diffusers' UNet in the layout of Stable Diffusion 1.x."""
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=dims,
        cross_attention_dim=context_dim,
        attention_head_dim=8,  # diffusers means the number of heads
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    )


def vae_of(dims: list[int]) -> nn.Module:
    """diffusers' autoencoder in the layout of Stable Diffusion 1.x."""
    return diffusers.AutoencoderKL(
        block_out_channels=dims,
        layers_per_block=BLOCKS,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * LEVELS,
        up_block_types=("UpDecoderBlock2D",) * LEVELS,
    )


def text_of(**sizes: int) -> nn.Module:
    """The text model of transformers, CLIP ViT-L/14's where no sizes are given."""
    return transformers.CLIPTextModel(transformers.CLIPTextConfig(**sizes))


def compvis_file(unet: nn.Module, vae: nn.Module, text: nn.Module) -> dict[str, Tensor]:
    """What CompVis's file of these networks holds."""
    parts = (
        unet_to_compvis(unet.state_dict(), LEVELS, BLOCKS),
        vae_to_compvis(vae.state_dict(), LEVELS, BLOCKS),
        text_to_compvis(text.state_dict()),
    )
    content = {
        prefix + name: w.contiguous()
        for prefix, part in zip(PREFIXES, parts, strict=True)
        for name, w in part.items()
    }
    content[PREFIXES[2] + "text_model.embeddings.position_ids"] = torch.arange(77)[None]
    return content | {"betas": torch.zeros(1000), "alphas_cumprod": torch.zeros(1000)}


@dataclass
class Example:
    """A model at reduced width: diffusers' pipeline, the same as CompVis's file, and a config."""

    pipeline: object
    content: dict[str, Tensor]
    folder: Path
    config_file: Path

    @property
    def config(self) -> StableDiffusionConfig:
        config = load_config(str(self.config_file), kind=StableDiffusionConfig)
        config.vocabulary = find_asset("pretrained/clip_bpe")
        return config

    def load(self, path: Path, **options) -> StableDiffusion:
        return load_stable_diffusion(path, self.config, **options)


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Example:
    folder = tmp_path_factory.mktemp("sd")
    vocabulary = find_asset("pretrained/clip_bpe")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(vocabulary, model_max_length=77)
    torch.manual_seed(0)
    unet, vae = unet_of([32, 64, 128, 128], TEXT_WIDTH), vae_of([32, 64, 128, 128])
    sizes = {"hidden_size": TEXT_WIDTH, "intermediate_size": 128, "projection_dim": TEXT_WIDTH}
    text = text_of(**sizes, num_hidden_layers=2, num_attention_heads=1)
    unet, vae, text = perturbed(unet), perturbed(vae), perturbed(text)
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    pipeline = diffusers.StableDiffusionPipeline(
        vae, text, tokenizer, unet, scheduler, None, None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    content = compvis_file(unet, vae, text)
    safetensors.save_file(content, folder / "model.safetensors")
    (folder / "reduced.yaml").write_text(REDUCED)
    return Example(pipeline, content, folder, folder / "reduced.yaml")


@pytest.fixture(scope="module")
def model(example) -> StableDiffusion:
    return example.load(example.folder / "model.safetensors")


def close(found: Tensor, expected: Tensor, tolerance: float = 1e-4) -> bool:
    """Equal up to a part of the expected values' spread, which must not be nothing."""
    assert found.shape == expected.shape
    return bool((found - expected).abs().max() < tolerance * expected.std())


# Each stage beside diffusers'


@torch.no_grad()
def test_text_states(example, model):
    """Prompts become the contexts that diffusers' pipeline has, the empty one, too."""
    for prompt in (*PROMPTS, ""):
        expected, _ = example.pipeline.encode_prompt(prompt, "cpu", 1, False)
        assert close(model.text_encoder.encode([prompt]), expected)


@torch.no_grad()
def test_unet(example, model):
    """The UNet predicts diffusers' noise, at mixed times and sizes that are not square."""
    torch.manual_seed(1)
    x, context = torch.randn(2, 4, 8, 16), torch.randn(2, 77, TEXT_WIDTH)
    time = torch.tensor([999, 3])
    expected = example.pipeline.unet(x, time, context).sample
    assert close(model.unet(x, context, time), expected)


@torch.no_grad()
def test_unet_of_another_layout():
    """The UNet and its names also have three levels of one block, and attention elsewhere."""
    torch.manual_seed(0)
    theirs = perturbed(
        diffusers.UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(32, 64, 96),
            layers_per_block=1,
            cross_attention_dim=24,
            attention_head_dim=4,
            norm_num_groups=16,
            down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
            up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
        )
    )
    options = {"res_blocks": 1, "num_heads": 4, "num_groups": 16}
    ours = StableDiffusionUNet(32, 24, 4, (1, 2, 3), (1, 2), **options).eval()
    compvis = unet_to_compvis(theirs.state_dict(), levels=3, blocks=1)
    ours.load_state_dict({rename(name, res_blocks=1): w for name, w in compvis.items()})
    x, context, time = torch.randn(2, 4, 8, 4), torch.randn(2, 5, 24), torch.tensor([0, 500])
    assert close(ours(x, context, time), theirs(x, time, context).sample)


@torch.no_grad()
def test_autoencoder(example, model):
    """Pictures become diffusers' latents times 0.18215, and latents its pictures, in [0, 1]."""
    torch.manual_seed(2)
    images, latents = torch.rand(2, 3, 64, 32), torch.randn(2, 4, 8, 4)
    vae = example.pipeline.vae
    expected = vae.encode(2 * images - 1).latent_dist.mode() * 0.18215
    assert close(model.vae.encoder(images), expected)
    expected = (vae.decode(latents / 0.18215).sample + 1) / 2
    assert close(model.vae.decoder(latents), expected)


def job(**changes) -> Job:
    """Two prompts, a guided run of 10 steps."""
    sampler = Sampler("ddim", 10, spacing="leading", guidance=7.5)
    facts = {"prompts": PROMPTS, "negative": NEGATIVE, "num": 1, "seed": 3, "sampler": sampler}
    return Job(**facts | {"height": 64, "width": 128} | changes)


def their_pictures(example: Example, job: Job, **options) -> Tensor:
    """What diffusers' pipeline draws from the same noise."""
    size = 4, job.height // 8, job.width // 8
    noise = text_to_image._noise(size, job.seed, 0)
    images = example.pipeline(
        list(job.prompts),
        negative_prompt=[job.negative] * len(job.prompts),
        height=job.height,
        width=job.width,
        guidance_scale=job.sampler.guidance,
        latents=noise.expand(len(job.prompts), -1, -1, -1).clone(),
        output_type="pt",
        **options,
    )
    return images.images.permute(0, 3, 1, 2) if images.images.shape[-1] == 3 else images.images


def test_picture_of_ddim(example, model):
    """A guided run of 10 steps of DDIM draws the picture of diffusers' pipeline."""
    expected = their_pictures(example, job(), num_inference_steps=10)
    found = torch.stack(list(draw(model, example.config, job())))
    assert found.std() > 0.05
    assert (found - expected).abs().max() < 1e-4


def test_picture_of_dpm_solver(example, model, monkeypatch):
    """DPM-Solver++ goes through the same guidance, and draws diffusers' picture."""
    times = time_grid(1000, 10, "leading", offset=1)
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
        example.pipeline.scheduler.config, final_sigmas_type="sigma_min"
    )
    monkeypatch.setattr(example.pipeline, "scheduler", scheduler)
    solver = job(sampler=Sampler("dpm++", 10, spacing="leading", guidance=5.0))
    expected = their_pictures(example, solver, timesteps=times)
    found = torch.stack(list(draw(model, example.config, solver)))
    assert (found - expected).abs().max() < 1e-4


def test_picture_from_a_picture(example, model):
    """With strength 0.6, the last 6 of 10 steps run on the noised latents of a picture."""
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(4))
    start = job(height=64, width=64, init_image=image, strength=0.6, prompts=PROMPTS[:1])
    pipeline = example.pipeline
    times = pipeline.scheduler.set_timesteps(10) or pipeline.scheduler.timesteps[4:].tolist()
    with torch.no_grad():
        latents = pipeline.vae.encode(2 * image[None] - 1).latent_dist.mode() * 0.18215
        noise = text_to_image._noise((4, 8, 8), start.seed, 0)
        x = pipeline.scheduler.add_noise(latents, noise[None], torch.tensor(times[:1]))
        both, nothing = pipeline.encode_prompt(PROMPTS[0], "cpu", 1, True, NEGATIVE)
        for time in times:
            eps = pipeline.unet(x, time, both).sample
            eps_nothing = pipeline.unet(x, time, nothing).sample
            eps = eps_nothing + 7.5 * (eps - eps_nothing)
            x = pipeline.scheduler.step(eps, time, x).prev_sample
        expected = (pipeline.vae.decode(x / 0.18215).sample / 2 + 0.5).clamp(0, 1)
    (found,) = draw(model, example.config, start)
    assert (found - expected[0]).abs().max() < 1e-4


def test_full_width():
    """At full width all 686 + 248 + 196 names and shapes are those of Stable Diffusion 1.x."""
    config = load_config(DEFAULT, kind=StableDiffusionConfig)
    with torch.device("meta"):
        unet, vae = unet_of([320, 640, 1280, 1280], 768), vae_of([128, 256, 512, 512])
        content = compvis_file(unet, vae, text_of(**VIT_L_14))
        ours = StableDiffusionUNet(**vars(config.unet)), KLAutoencoder(), make_text_model()
    numbers = [sum(name.startswith(prefix) for name in content) for prefix in PREFIXES]
    assert numbers == [686, 248, 196 + 1]  # and position_ids
    assert [sum(p.numel() for p in m.parameters()) for m in ours] == [
        859_520_964,
        83_653_863,
        123_060_480,
    ]
    for module, prefix, rule in zip(ours, PREFIXES, (rename, str, str), strict=True):
        named = [(n.removeprefix(prefix), w) for n, w in content.items() if n.startswith(prefix)]
        shapes = {rule(n).removeprefix("text_model."): tuple(w.shape) for n, w in named}
        shapes.pop("embeddings.position_ids", None)
        state = module.state_dict()
        assert shapes == {n.removeprefix("text_model."): tuple(w.shape) for n, w in state.items()}


def test_config_writes_the_defaults_out():
    """The YAML, the config's defaults and the UNet's own say the same of Stable Diffusion 1.x."""
    assert load_config(DEFAULT, kind=StableDiffusionConfig).unet == StableDiffusionConfig().unet
    arguments = inspect.signature(StableDiffusionUNet).parameters
    defaults = {name: p.default for name, p in arguments.items()}
    written = yaml.safe_load((ROOT / DEFAULT).read_text())
    assert {n: list(v) if isinstance(v, tuple) else v for n, v in defaults.items()} == written[
        "unet"
    ]
