"""What each part of a latent model adds: python benchmarks/ablation.py CONFIG --epochs 20

Trains four models, each with one part more than the one before: a DDPM on pixels, its autoencoder,
guidance, and a transformer in the middle of the UNet. All have the same budget and the data of the
config, which describes a latent DDPM. Each is sampled by its own chain and by DDIM, and scored by
FID, Inception score and, where its weights can be had, LPIPS within a class. Writes ablation.json
and ablation.md to --out. What is done already is not done again.
"""

import argparse
import copy
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import kit  # noqa: F401

# isort: split

import torch

from libs.config import Config, ModelConfig, VaeConfig, load_config
from libs.metrics import FEATURES
from libs.metrics.evidence import Evidence, RealImages
from libs.metrics.kept_samples import CODE, sample_facts
from libs.metrics.networks import Looks, load_networks
from libs.metrics.scoring import check_enough, score
from libs.models.build import load_model
from libs.runtime import checkpoint, cli
from libs.runtime.cache import Store
from libs.runtime.device import Precision, pick_device
from libs.runtime.hashes import hash_of_file, hash_of_files
from libs.runtime.processes import Processes
from libs.runtime.progress import say
from libs.samplers.draw import draw_together
from libs.samplers.sampler import Sampler
from libs.training import run_folder
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.trainer import Trainer
from libs.utils import UserError, save_json, save_text, shown

SEED = 0
LABEL_DROPOUT, GUIDANCE = 0.1, 3.0  # for a config that has none
LABELS = {  # of the models, by their folders
    "ddpm": "DDPM",
    "vae": "+ VAE",
    "guidance": "+ guidance",
    "transformer": "+ transformer",
}
METRICS = ("fid", "is", "lpips")
HEADER = ("model", "sampler", "FID", "IS", "LPIPS", "training s", "sampling s", "parameters")


@dataclass
class Result:
    """One row: scores by name, seconds of training and of sampling, trained parameters."""

    model: str
    sampler: str
    scores: dict[str, float]
    training_seconds: float
    sampling_seconds: float
    parameters: int


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare the parts of a latent diffusion model.")
    parser.add_argument("config", help="YAML or JSON file of a latent DDPM")
    parser.add_argument("--epochs", type=int, help="of each model, instead of the config's")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any key")
    parser.add_argument("--num", type=int, default=500, help="samples of each (default: 500)")
    parser.add_argument("--steps", type=int, default=50, help="of DDIM (default: 50)")
    parser.add_argument("--batch-size", type=int, default=250, help="samples drawn at once")
    parser.add_argument("--features", choices=FEATURES, default="lenet", help="for FID and IS")
    parser.add_argument("--inception-weights", metavar="FILE", type=Path, help="no download")
    parser.add_argument("--alexnet-weights", metavar="FILE", type=Path, help="no download (LPIPS)")
    parser.add_argument("--out", type=Path, default=Path("logs/ablation"), metavar="DIR")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    args = parser.parse_args()
    if args.batch_size < 1:
        parser.error("--batch-size must be at least 1")
    return args


def variants(config: Config) -> dict[str, Config]:
    """The four configs by name, each with a part more; UserError for no latent DDPM."""
    if config.model_name != "DDPM" or not config.model.use_vae:
        raise UserError(
            "the ablation takes the parts from a latent DDPM: the config needs 'model_name: DDPM' "
            "and 'model.use_vae: true', with TAESD's weights or 'vae: {kind: kl, weights: FILE}'"
        )
    full = copy.deepcopy(config)
    full.train_cfg.keep_last_model = True  # by which `train` finds it
    full.model.bottleneck = "transformer"
    full.model.label_dropout = full.model.label_dropout or LABEL_DROPOUT
    if full.train_cfg.guidance is None:
        full.train_cfg.guidance = GUIDANCE
    guided = copy.deepcopy(full)
    guided.model.bottleneck = ModelConfig.bottleneck
    latent = copy.deepcopy(guided)
    latent.model.label_dropout, latent.train_cfg.guidance = 0.0, None
    pixels = copy.deepcopy(latent)
    pixels.model = replace(
        pixels.model, use_vae=False, vae_encoder_weights=None, vae_decoder_weights=None
    )
    pixels.vae, pixels.dataset.latent_cache = VaeConfig(), False
    found = {"ddpm": pixels, "vae": latent, "guidance": guided, "transformer": full}
    for variant in found.values():
        variant.check()
    return found


def train(config: Config, folder: Path, device: torch.device) -> Path:
    """The final checkpoint of a model, trained in `folder` unless that has been done.

    Beside it, training.json holds seconds and the number of parameters. A run that was stopped
    goes on; its seconds are counted as if all steps were as fast as those since then.

    Raises UserError where the folder holds a run with another config.
    """
    final, facts = folder / "model_final.pth", folder / "training.json"
    if (folder / "config.yaml").is_file():
        saved, wanted = load_config(str(folder / "config.yaml")), copy.deepcopy(config)
        saved.vae.autoencoder = wanted.vae.autoencoder = None  # known once the weights are read
        if saved != wanted:
            raise UserError(
                f"{shown(folder)} holds a model trained with other settings: choose another --out"
            )
    if final.is_file() and facts.is_file():
        say(f"{folder.name} is trained already: {shown(final)}")
        return final
    final.unlink(missing_ok=True)  # stopped before training.json was written
    precision, processes = Precision.pick(config.dtype, device), Processes()
    state = None
    if any(path.name not in ("best.pth", final.name) for path in folder.glob("*.pth")):
        state = checkpoint.read(folder)
        run_folder.check_same_run(config, state)
    learner = DiffusionLearner(config, precision, processes)
    trainer = Trainer(learner, config, folder, precision, processes, state=state)
    say(f"{folder.name}: {trainer.describe()}")
    try:
        trainer.fit()
    except KeyboardInterrupt:
        raise KeyboardInterrupt("go on with the same command") from None
    seconds = trainer.pace.each("step") * trainer.last_step
    found = {"seconds": seconds, "parameters": learner.updater.num_parameters}
    facts.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return final


class Judge:
    """Draws from trained models and scores them, all against the same images."""

    def __init__(self, args: argparse.Namespace, config: Config, device: torch.device):
        self.args, self.device = args, device
        self.real = RealImages.load(config)
        self.conditional = config.model.conditional
        store = Store(config.output_folder / "feature_cache")
        looks = Looks(args.features, args.inception_weights, args.alexnet_weights)
        options = self.real, config.model.img_shape, device, store
        self.networks = load_networks(looks, ("fid", "is"), *options)
        self.metrics = METRICS
        try:
            self.networks.lpips = load_networks(looks, ("lpips",), *options).lpips
        except UserError as error:
            say(f"no LPIPS: {error}")
            self.metrics = METRICS[:2]
        check_enough(self.metrics, args.num, self.real, self.conditional)

    def score(self, path: Path, name: str, ddim: bool) -> Result:
        """Draw with the model's own chain or with DDIM; what was scored before is read instead."""
        args = self.args
        trained = load_model(path, self.device)
        model, config, classes = trained.model, trained.config, trained.classes
        sampler = Sampler(guidance=config.train_cfg.guidance)
        if ddim:
            sampler = replace(sampler, name="ddim", steps=min(args.steps, model.timesteps))
        precision = Precision.pick(config.dtype, self.device)
        facts = sample_facts(
            hash_of_file(path), sampler, args.num, len(classes), SEED, args.batch_size, precision
        )
        facts |= {"metrics": ", ".join(self.metrics), "features": args.features}
        facts["code of the metrics"] = hash_of_files((CODE / "libs" / "metrics").glob("*.py"))
        file = path.parent / f"scores_{sampler.name}.json"
        if file.is_file():
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["facts"] == facts:
                say(f"{name}: scores kept from an earlier call, {shown(file)}")
                return Result(**kept["result"])
        labels = torch.arange(args.num) % len(classes)
        start = time.perf_counter()
        samples = draw_together(
            model, labels, precision, sampler, SEED, args.batch_size, Processes()
        )
        seconds = time.perf_counter() - start
        evidence = Evidence(samples, labels, None, self.real, self.conditional, self.networks)
        scores = {metric: score([metric], evidence)[0].samples for metric in self.metrics}
        training = json.loads((path.parent / "training.json").read_text(encoding="utf-8"))
        result = Result(
            name, str(sampler), scores, training["seconds"], seconds, training["parameters"]
        )
        save_json({"facts": facts, "result": asdict(result)}, file)
        return result


def rows(results: list[Result]) -> list[list[str]]:
    """The cells of the table, under HEADER."""
    return [
        [
            result.model,
            result.sampler,
            *(f"{result.scores[m]:.3g}" if m in result.scores else "-" for m in METRICS),
            f"{result.training_seconds:.0f}",
            f"{result.sampling_seconds:.1f}",
            f"{result.parameters / 1e6:.2f}M",
        ]
        for result in results
    ]


def markdown(results: list[Result], config: Config, args: argparse.Namespace) -> str:
    """The table in Markdown, and what it was measured with."""
    lines = [HEADER, ["---", "---", *["---:"] * 6], *rows(results)]
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return (
        f"{text}\n\n{config.train_cfg.epochs} epochs of {config.dataset.name} each, batches of "
        f"{config.loader.batch_size}; {args.num} samples, features of {args.features}, seed {SEED}."
        " LPIPS is the mean distance within a class, parameters are those that were trained."
    )


def main() -> None:
    args = parse_args()
    budget = [] if args.epochs is None else [f"train_cfg.epochs={args.epochs}"]
    config = load_config(args.config, [*args.set, *budget])
    configs = variants(config)
    device = pick_device([args.device])
    judge = Judge(args, config, device)
    cli.check_writable(None, args.out)
    results = []
    for name, variant in configs.items():
        path = train(variant, args.out / name, device)
        for ddim in (False, True):
            results.append(judge.score(path, LABELS[name], ddim))
            say("  ".join(rows(results[-1:])[0]))
    table = markdown(results, config, args)
    print(table)
    save_text(table, args.out / "ablation.md")
    save_json([asdict(result) for result in results], args.out / "ablation.json")
    print(f"wrote ablation.md and ablation.json to {args.out}")


if __name__ == "__main__":
    cli.run(main)
