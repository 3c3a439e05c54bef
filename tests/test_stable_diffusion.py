"""Stable Diffusion 1.x in the kit's classes, judged by diffusers' pipeline at reduced width."""

import copy
import functools
import inspect
import re
import shutil
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

import sample
from helpers.compvis_names import text_to_compvis, unet_to_compvis, vae_to_compvis
from helpers.files import ROOT, find_asset
from helpers.scripts import assert_refused, run_script
from libs.autoencoders.kl import KLAutoencoder
from libs.config import from_dict, load_config
from libs.samplers.sampler import Sampler
from libs.schedules import SPACINGS, time_grid
from libs.settings.stable_diffusion import StableDiffusionConfig
from libs.stable_diffusion import StableDiffusionUNet, guided_eps, rename, sample_guided
from libs.text.encoder import VIT_L_14, load_tokenizer, make_text_model
from libs.text_to_image import draw as drawing
from libs.text_to_image import files
from libs.text_to_image.draw import Job, draw
from libs.text_to_image.files import StableDiffusion, load_stable_diffusion
from libs.text_to_image.flags import DEFAULT
from libs.utils import UserError

diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")
safetensors = pytest.importorskip("safetensors.torch")

LEVELS, BLOCKS = 4, 2
TEXT_WIDTH = 64  # of one head, as CLIP's heads have
REDUCED = f"""
dtype: fp32
unet: {{dim: 32, context_dim: {TEXT_WIDTH}, dim_mults: [1, 2, 2, 2]}}
vae: {{ch: 32, ch_mult: [1, 1, 2, 2]}}
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


read_once = functools.cache(load_tokenizer)


@pytest.fixture(autouse=True)
def _save_time(monkeypatch):
    """Reading the vocabulary takes a quarter of a second: the tests share it."""
    monkeypatch.setattr(files, "load_tokenizer", read_once)


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Example:
    folder = tmp_path_factory.mktemp("sd")
    vocabulary = find_asset("pretrained/clip_bpe")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(vocabulary, model_max_length=77)
    torch.manual_seed(0)
    unet, vae = unet_of([32, 64, 64, 64], TEXT_WIDTH), vae_of([32, 32, 64, 64])
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
    """Two prompts, a guided run of 10 steps, pictures that are not square."""
    sampler = Sampler("ddim", 10, spacing="leading", guidance=7.5)
    facts = {"prompts": PROMPTS, "negative": NEGATIVE, "num": 1, "seed": 3, "sampler": sampler}
    return Job(**facts | {"height": 64, "width": 128} | changes)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_time_steps_of_each_spacing(spacing):
    """Every spacing that the flag of sample.py names, or a config, gives a chain's time steps."""
    config = from_dict({"sampling": {"spacing": spacing}}, ROOT, "text", StableDiffusionConfig)
    times = drawing.chain_times(config, Sampler("ddim", 10, spacing=config.sampling.spacing))
    assert len(set(times)) == 10
    assert times == sorted(times, reverse=True)


def their_pictures(example: Example, job: Job, **options) -> Tensor:
    """What diffusers' pipeline draws from the same noise."""
    size = 4, job.height // 8, job.width // 8
    noise = drawing.starting_noise(size, job.seed, 0)
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
    return images.images


def test_picture_of_ddim(example, model):
    """A guided run of 10 steps of DDIM draws the picture of diffusers' pipeline."""
    expected = their_pictures(example, job(), num_inference_steps=10)
    found = torch.stack(list(draw(model, example.config, job())))
    assert found.std() > 0.05
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_picture_of_dpm_solver(example, model, monkeypatch):
    """DPM-Solver++ goes through the same guidance, and draws diffusers' picture."""
    times = time_grid(1000, 10, "leading", offset=1)
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
        example.pipeline.scheduler.config, final_sigmas_type="sigma_min"
    )
    monkeypatch.setattr(example.pipeline, "scheduler", scheduler)
    solver = job(sampler=Sampler("dpm++", 10, spacing="leading", guidance=5.0), width=64)
    expected = their_pictures(example, solver, timesteps=times)
    found = torch.stack(list(draw(model, example.config, solver)))
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.slow
def test_picture_from_a_picture(example, model):
    """With strength 0.6, the last 6 of 10 steps run on the noised latents of a picture."""
    image = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(4))
    start = job(height=64, width=64, init_image=image, strength=0.6, prompts=PROMPTS[:1])
    pipeline = example.pipeline
    times = pipeline.scheduler.set_timesteps(10) or pipeline.scheduler.timesteps[4:].tolist()
    with torch.no_grad():
        latents = pipeline.vae.encode(2 * image[None] - 1).latent_dist.mode() * 0.18215
        noise = drawing.starting_noise((4, 8, 8), start.seed, 0)
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
    written = yaml.safe_load((ROOT / DEFAULT).read_text(encoding="utf-8"))
    assert {n: list(v) if isinstance(v, tuple) else v for n, v in defaults.items()} == written[
        "unet"
    ]


# Files


class ModelCheckpoint:
    """Pickles as the class of PyTorch Lightning that CompVis's files name."""

    __module__ = "pytorch_lightning.callbacks.model_checkpoint"


def write(content: dict, path: Path) -> Path:
    safetensors.save_file(content, path)
    return path


@torch.no_grad()
def answers(model: StableDiffusion) -> list[Tensor]:
    """What the networks make of the same input."""
    torch.manual_seed(5)
    x, context = torch.randn(1, 4, 8, 8), torch.randn(1, 77, TEXT_WIDTH)
    images = torch.rand(1, 3, 64, 64)
    return [
        model.unet(x, context, torch.tensor([500])),
        model.vae.decoder(x),
        model.vae.encoder(images),
        model.text_encoder.encode(PROMPTS),
    ]


def answers_alike(one: StableDiffusion, other: StableDiffusion, tolerance: float = 1e-5) -> bool:
    """Whether two models agree in all networks."""
    pairs = zip(answers(one), answers(other), strict=True)
    return all(close(a, b, tolerance) for a, b in pairs)


@pytest.fixture
def lightning(monkeypatch):
    """The class of PyTorch Lightning, which is there when a file is written."""
    module = types.ModuleType(ModelCheckpoint.__module__)
    module.ModelCheckpoint = ModelCheckpoint
    for parent in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_ckpt_of_lightning_with_averaged_weights(
    example, model, tmp_path, lightning, monkeypatch, capsys
):
    """A .ckpt that names Lightning's class is read; the averaged UNet is the one taken."""
    prefix = PREFIXES[0]
    unet = {n: w for n, w in example.content.items() if n.startswith(prefix)}
    averaged = {
        "model_ema." + n.removeprefix("model.").replace(".", ""): w for n, w in unet.items()
    }
    plain = {n: torch.zeros_like(w) for n, w in unet.items()}
    counters = {"model_ema.decay": torch.tensor(1.0), "model_ema.num_updates": torch.tensor(7)}
    state = example.content | plain | averaged | counters
    path = tmp_path / "full.ckpt"
    torch.save({"state_dict": state, "callbacks": {ModelCheckpoint: {"best": None}}}, path)
    for name in [n for n in sys.modules if n.startswith("pytorch_lightning")]:
        monkeypatch.delitem(sys.modules, name)
    assert answers_alike(example.load(path), model)
    assert "averaged" in capsys.readouterr().out


@pytest.mark.slow
def test_half_precision_and_names_of_transformers_5(example, model, tmp_path):
    """A file in fp16 is read; so is one whose text model has the names of transformers 5."""
    content = {n.replace(".text_model.", "."): w.half() for n, w in example.content.items()}
    found = example.load(write(content, tmp_path / "half.safetensors"))
    assert found.unet.conv_in.weight.dtype == torch.float32
    assert answers_alike(found, model, tolerance=0.05)
    assert not answers_alike(found, model, tolerance=1e-6)


@pytest.mark.slow
@torch.no_grad()
def test_networks_in_half_precision(example, model):
    """In bf16 all weights are bf16, and pictures are nearly those of fp32, in fp32."""
    half = example.load(example.folder / "model.safetensors", dtype=torch.bfloat16)
    weights = [*half.unet.parameters(), *half.vae.parameters(), *half.text_encoder.parameters()]
    assert {w.dtype for w in weights} == {torch.bfloat16}
    short = job(sampler=Sampler("ddim", 2, spacing="leading", guidance=2.0), width=64)
    found, expected = (torch.stack(list(draw(m, example.config, short))) for m in (half, model))
    assert found.dtype == torch.float32
    assert 0 < (found - expected).abs().mean() < 0.05


@pytest.mark.parametrize("variant", [None, pytest.param("fp16", marks=pytest.mark.slow)])
def test_diffusers_folder(example, model, tmp_path, variant):
    """A folder of diffusers gives the same model, also in fp16 or pickled, and its own tokenizer"""
    example.pipeline.save_pretrained(tmp_path, variant=variant)
    if variant is None:  # an older folder: pickled, and other names in the VAE's attention
        older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        (tmp_path / "vae/diffusion_pytorch_model.safetensors").unlink()
        weights = example.pipeline.vae.state_dict()
        for new, old in older.items():
            weights = {n.replace(f".{new}.", f".{old}."): w for n, w in weights.items()}
        torch.save(weights, tmp_path / "vae/diffusion_pytorch_model.bin")
    config = example.config
    if variant is None:  # transformers 5 writes the vocabulary in another form
        for name in ("vocab.json", "merges.txt"):
            shutil.copy(config.vocabulary / name, tmp_path / "tokenizer")
        config.vocabulary = tmp_path / "nowhere"
    assert answers_alike(load_stable_diffusion(tmp_path, config), model)


# Files that are refused


def refusal(example: Example, path: Path) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(UserError) as error:
        example.load(path)
    sentence = str(error.value)
    assert "\n" not in sentence
    assert path.name in sentence
    return sentence


UNET = PREFIXES[0]
OTHER_KINDS = {
    "LoRA": {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight": (4, 4)},
    "XL": {"conditioner.embedders.0.transformer.text_model.final_layer_norm.weight": (768,)},
    "2.x": {"cond_stage_model.model.ln_final.weight": (1024,)},
    "Diffusion 2.x": {UNET + "input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (32, 1024)},
    "inpainting": {UNET + "input_blocks.0.0.weight": (32, 9, 3, 3)},
    "ControlNet": {"control_model.input_blocks.0.0.weight": (32, 4, 3, 3)},
    "no tensors 'model.diffusion_model...": {"encoder.conv_in.bias": (32,)},
    "name that": {"down_blocks.0.resnets.0.norm1.weight": (32,)},
    "no tensors 'first_stage_model...": {UNET + "out.0.weight": (32,)},
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_other_kinds_of_files_are_named(example, tmp_path, kind):
    """SD 2.x, SDXL, LoRA, inpainting and parts of a checkpoint are refused by name."""
    content = {name: torch.zeros(shape) for name, shape in OTHER_KINDS[kind].items()}
    assert kind in refusal(example, write(content, tmp_path / "other.safetensors"))


def test_mismatch_names_tensors_and_shapes(example, tmp_path):
    """Missing, unexpected and misshapen tensors are named with both shapes, the rest counted."""
    content = dict(example.content)
    content[UNET + "out.2.bias"] = torch.zeros(5)
    sentence = refusal(example, write(content, tmp_path / "a.safetensors"))
    assert "'out.2.bias' should be (4,) and is (5,)" in sentence
    assert "more" not in sentence
    content[UNET + "input_blocks.12.0.op.weight"] = torch.zeros(2)
    del content[UNET + "middle_block.0.in_layers.2.bias"]
    del content[UNET + "time_embed.2.weight"], content[UNET + "time_embed.2.bias"]
    sentence = refusal(example, write(content, tmp_path / "b.safetensors"))
    assert "'time_embd.2.weight' should be (128, 128) and is absent" in sentence
    assert "and 2 more" in sentence
    content = example.content | {"first_stage_model.encoder.extra.weight": torch.zeros(3)}
    sentence = refusal(example, write(content, tmp_path / "c.safetensors"))
    assert "'encoder.extra.weight' should be absent and is (3,)" in sentence
    content = example.content | {"embedding_manager.weight": torch.zeros(3)}
    assert "embedding_manager" in refusal(example, write(content, tmp_path / "d.safetensors"))
    wrong_config = example.config
    wrong_config.unet.dim = 64
    with pytest.raises(UserError, match=r"should be \(256, 64\) and is \(128, 32\), .* more"):
        load_stable_diffusion(example.folder / "model.safetensors", wrong_config)


class Creates:
    """Unpickling it would create a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_and_broken_files_are_refused(example, tmp_path):
    """Code in a pickle is refused and never runs; truncated and missing files are named."""
    trace, path = tmp_path / "executed", tmp_path / "model.ckpt"
    torch.save({"state_dict": example.content, "callbacks": Creates(trace)}, path)
    assert "is refused" in refusal(example, path)
    assert not trace.exists()
    whole = (example.folder / "model.safetensors").read_bytes()
    for name in ("cut.safetensors", "cut.ckpt"):
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        assert refusal(example, tmp_path / name)
    assert "no such file" in refusal(example, tmp_path / "missing.ckpt")
    torch.save({"format": 1, "model": example.content}, path)
    assert "without --sd" in refusal(example, path)
    (tmp_path / "empty").mkdir()
    assert "no unet/" in refusal(example, tmp_path / "empty")
    (tmp_path / "empty/model_index.json").write_text('{"_class_name": "StableDiffusionXLPipeline"}')
    assert "StableDiffusionXLPipeline" in refusal(example, tmp_path / "empty")
    config = example.config
    config.vocabulary = tmp_path
    with pytest.raises(UserError, match=r"vocab.json and merges.txt missing.*--vocabulary"):
        load_stable_diffusion(example.folder / "model.safetensors", config)


# Negative controls: mistakes that strict loading or the comparison must notice


def test_shifted_names_are_noticed(example, monkeypatch):
    """Names that are off by one do not load: two become one, or shapes differ."""
    path = example.folder / "model.safetensors"

    def shifted(name: str, res_blocks: int) -> str:
        return rename(name.replace("input_blocks.4.", "input_blocks.5."), res_blocks)

    monkeypatch.setattr(files, "rename", shifted)
    assert "'encoder.3.0." in refusal(example, path)
    assert "rename" in refusal(example, path)
    monkeypatch.setattr(files, "rename", lambda name, res_blocks: rename(name, 1))
    assert refusal(example, path)


@torch.no_grad()
@pytest.mark.parametrize("part", ["norm", "in_layers"])
def test_wrong_eps_of_a_norm_is_noticed(example, part):
    """With small features, 1e-5 differs from 1e-6 in the norms of transformers, and of blocks."""
    theirs = copy.deepcopy(example.pipeline.unet)
    for name, p in theirs.named_parameters():
        if re.search(r"conv_in|conv2|conv_shortcut|samplers|proj_out", name):
            p.mul_(0.02)
    ours = StableDiffusionUNet(32, TEXT_WIDTH, dim_mults=(1, 2, 2, 2)).eval()
    compvis = unet_to_compvis(theirs.state_dict(), LEVELS, BLOCKS)
    ours.load_state_dict({rename(name): w for name, w in compvis.items()})
    x, context, time = torch.randn(1, 4, 8, 8), torch.randn(1, 77, TEXT_WIDTH), torch.tensor([9])
    expected = theirs(x, time, context).sample
    assert close(ours(x, context, time), expected)
    for module in ours.modules():
        if part == "norm" and hasattr(module, "transformer_blocks"):
            module.norm.eps = 1e-5
        if part == "in_layers" and hasattr(module, "in_layers"):
            module.in_layers[0].eps = 1e-6
    assert not close(ours(x, context, time), expected)


# The guided loop by itself


def test_guidance_is_one_batch():
    """eps = eps_negative + s (eps_context - eps_negative), from one call, in the state's dtype."""
    calls = []

    def network(x: Tensor, context: Tensor, time: Tensor) -> Tensor:
        calls.append((x, context, time))
        return (x + context.mean(dim=(1, 2))[:, None, None, None]).half()

    x, t = torch.zeros(3, 4, 2, 2), torch.tensor([5, 6, 7])
    context, negative = torch.full((3, 7, 2), 3.0), torch.full((3, 7, 2), 1.0)
    eps = guided_eps(network, x, t, context, negative, 2.5)
    assert eps.dtype == torch.float32
    torch.testing.assert_close(eps, torch.full_like(x, 1 + 2.5 * 2))
    ((both, _, times),) = calls
    assert len(both) == 6
    assert times.tolist() == [5, 6, 7, 5, 6, 7]


def test_loop_visits_the_times_and_ends_at_time_0():
    """Where the network knows x_0, the loop keeps it, and leaves the noise of time 0 in it."""
    alphas_cumprod = torch.linspace(0.99, 0.01, 50).double()
    truth, noise = torch.randn(2, 4, 2, 2).double(), torch.randn(2, 4, 2, 2).double()
    seen, shown = [], []

    def network(x: Tensor, context: Tensor, time: Tensor) -> Tensor:
        seen.append(time.tolist())
        alpha_bar = alphas_cumprod[time][:, None, None, None]
        return (x - alpha_bar.sqrt() * torch.cat([truth, truth])) / (1 - alpha_bar).sqrt()

    def at(alpha_bar: Tensor) -> Tensor:
        return alpha_bar.sqrt() * truth + (1 - alpha_bar).sqrt() * noise

    context = torch.zeros(2, 3, 4)
    x = sample_guided(
        network,
        at(alphas_cumprod[41]),
        context,
        context,
        alphas_cumprod,
        [41, 21, 1],
        7.5,
        on_step=lambda i, x: shown.append((i, x)),
    )
    assert seen == [[41] * 4, [21] * 4, [1] * 4]
    assert [i for i, _ in shown] == [0, 1, 2]
    torch.testing.assert_close(shown[1][1], at(alphas_cumprod[1]))
    torch.testing.assert_close(x, at(alphas_cumprod[0]))


# sample.py --sd


def draw_flags(example: Example, out: Path | None, *flags: str) -> list[str]:
    always = ["--sd", str(example.folder / "model.safetensors")]
    always += [] if out is None else ["--out", str(out)]
    always += ["--sd-config", str(example.config_file), "--device", "cpu"]
    return [*always, "--vocabulary", str(example.config.vocabulary), *flags]


@pytest.mark.slow
def test_sample_script_draws_a_grid(example, tmp_path, monkeypatch, capsys):
    """Prompts become a grid with captions; a picture is the same in a batch of any size."""

    def run(out: Path | None, *flags: str) -> str:
        argv = draw_flags(example, out, "--steps", "2", "--sampler", "dpmpp", *flags)
        monkeypatch.setattr(sys, "argv", ["sample.py", *argv])
        sample.main()
        return capsys.readouterr().out

    both = [flag for prompt in PROMPTS for flag in ("--prompt", prompt)]
    printed = run(tmp_path / "a.png", *both, "--num", "2", "--out-dir", str(tmp_path / "single"))
    assert "sampler: dpm++, 2 steps, leading, eta 0, guidance 7.5" in printed
    width, height = Image.open(tmp_path / "a.png").size
    assert width == 2 * 64 + 3 * 4
    assert height > 2 * 64 + 3 * 4
    run(tmp_path / "b.png", *both[2:], "--batch-size", "1", "--out-dir", str(tmp_path / "alone"))
    pictures = [
        torch.frombuffer(bytearray(Image.open(tmp_path / path).tobytes()), dtype=torch.uint8).int()
        for path in (
            "single/02-two-dogs-on-a-long-empty-beach/00000.png",
            "alone/01-two-dogs-on-a-long-empty-beach/00000.png",
        )
    ]
    assert (pictures[0] - pictures[1]).abs().max() <= 1
    image = tmp_path / "single/01-a-red-bus/00001.png"
    run(tmp_path / "c.png", "--prompt", "", "--from", str(image), "--strength", "0.5")
    assert (tmp_path / "c.png").is_file()
    with pytest.raises(UserError, match=r"c\.png exists already"):
        run(tmp_path / "c.png", "--prompt", "")

    monkeypatch.chdir(tmp_path)
    again = ["--prompt", "A red bus!", "--prompt", "x", "--prompt", "A red bus!"]
    run(None, *again, "--out-dir", "again")  # a prompt that is named again is drawn again
    files = {p.relative_to("again").as_posix(): p.read_bytes() for p in Path("again").rglob("*.*")}
    assert sorted(files) == ["01-a-red-bus/00000.png", "01-a-red-bus/00001.png", "02-x/00000.png"]
    assert len(set(files.values())) == 3
    for name in ("a-red-bus-seed-0.png", "a-red-bus-seed-0-2.png"):
        assert name in run(None, *again[:2])
        assert Path(name).is_file()


WRONG_FLAGS = {
    "add --prompt": [],
    "--size: 500 pixels are not divisible by 64": ["--prompt", "x", "--size", "500"],
    "width and height": ["--prompt", "x", "--size", "big"],
    "did you mean 'ddim'": ["--prompt", "x", "--sampler", "dimm"],
    "--guidance: a scale": ["--prompt", "x", "--guidance", "much"],
    "1 to 1000 steps": ["--prompt", "x", "--steps", "0"],
    "take fewer steps": ["--prompt", "x", "--steps", "1000"],
    "--eta": ["--prompt", "x", "--eta", "1"],
    "--labels": ["--prompt", "x", "--labels", "0"],
    "--churn": ["--prompt", "x", "--churn", "1"],
    "add --from": ["--prompt", "x", "--strength", "0.5"],
    "--strength: a number": ["--prompt", "x", "--strength", "2", "--from", "x.png"],
    "x.png cannot be used: missing": ["--prompt", "x", "--from", "x.png"],
    "--dtype": ["--prompt", "x", "--dtype", "int4"],
}


@pytest.mark.parametrize("words", WRONG_FLAGS)
def test_wrong_flags(example, tmp_path, monkeypatch, words):
    """Flags that are missing, wrong or of other models are refused with a sentence."""
    argv = draw_flags(example, tmp_path / "x.png", *WRONG_FLAGS[words])
    monkeypatch.setattr(sys, "argv", ["sample.py", *argv])
    with pytest.raises(UserError, match=words):
        sample.main()


@pytest.mark.slow
def test_sample_script_by_itself(example, tmp_path):
    """The script draws in a process of its own, and says in one sentence what is wrong."""
    out = tmp_path / "grid.png"
    flags = draw_flags(example, out, "--prompt", "a dog " * 80)
    process = run_script("code/sample.py", *flags)
    assert process.returncode == 0, process.stderr
    assert "cut off: 'dog a dog" in process.stdout or "cut off: 'a dog" in process.stdout
    assert out.is_file()
    assert_refused(run_script("code/sample.py", *flags), "exists already", "--force")
    assert_refused(run_script("code/sample.py", *flags, "--force", "--size", "100"), "by 64")
    assert_refused(run_script("code/sample.py", "--out", out), "--sd")
    assert_refused(run_script("code/sample.py", "x.pth", "--size", "64"), "add --sd")
