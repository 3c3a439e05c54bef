"""What a config must not say: keys that contradict each other; one function per pair of sections.

The keys themselves are in `config.py`, which calls these checks, so that nothing here knows its
classes. Like it, this file does not import torch.
"""

from collections.abc import Iterable
from typing import Any

from ..utils import UserError

# No score to choose by: the samples' own distances, lpips, are largest for noise.
SCORES_TO_CHOOSE_BY = {name: [name] for name in ("fid", "kid", "is", "grain", "accuracy")}
SCORES_TO_CHOOSE_BY |= {"pr": ["precision", "recall"], "lpips": []}
HAVE_ETA = ("ddim", "dpm++", "deis")  # samplers whose noise one can choose
HAVE_SPACING = ("ddpm", *HAVE_ETA)  # whose noise levels one can choose by name
DDPM_ONLY = (  # keys that mean nothing to another model
    "model.beta_schedule model.beta_start model.beta_end model.rescale_betas model.prediction "
    "model.variance_type train_cfg.loss train_cfg.min_snr_gamma train_cfg.uniform_share"
).split()
UNET_ONLY = (  # keys that mean nothing to another network
    "dim_mults attn_levels adagn resblocks_per_level dropout resample bottleneck bottleneck_depth "
    "bottleneck_heads space_to_depth"
).split()
DIT_ONLY = "depth num_heads patch_size qk_norm".split()
NOT_FOR_POINTS = "use_vae prediction label_dropout attention context".split()
MEANINGLESS = {  # keys by the network that does not know them
    "unet": DIT_ONLY,
    "dit": UNET_ONLY,
    "mlp": UNET_ONLY + DIT_ONLY + NOT_FOR_POINTS,
}

OF_SAMPLES = (  # keys that mean nothing to an autoencoder
    "train_cfg.num_eval_classes train_cfg.sampler train_cfg.sampler_steps train_cfg.sampler_eta "
    "train_cfg.sampler_spacing train_cfg.guidance train_cfg.eval_classes train_cfg.eval_sampler "
    "train_cfg.eval_steps"
).split()


def lookup(config: Any, key: str) -> Any:
    """The value of a key such as "train_cfg.lr"."""
    for part in key.split("."):
        config = getattr(config, part)
    return config


def differences(one: Any, other: Any, keys: Iterable[str]) -> list[tuple[str, Any, Any]]:
    """The keys whose values differ between two configs, with both values."""
    values = [(key, lookup(one, key), lookup(other, key)) for key in keys]
    return [(key, a, b) for key, a, b in values if a != b]


def check_training(train: Any) -> None:
    """Refuse contradictions among the keys that all kinds of models share."""
    if len(train.betas) != 2:
        raise UserError(f"'train_cfg.betas' must be two numbers, found {train.betas}")
    if train.warmup_steps and train.warmup_epochs:
        raise UserError(
            f"'train_cfg.warmup_steps' {train.warmup_steps} and 'train_cfg.warmup_epochs' "
            f"{train.warmup_epochs:g} exclude each other: set one of them to 0"
        )
    if train.best_metric is not None and not train.keep_best_model:
        raise UserError(
            f"'train_cfg.best_metric' {train.best_metric} chooses best.pth, which "
            "'train_cfg.keep_best_model: false' does not keep: leave one of them out"
        )


def check_together(config: Any) -> None:
    """Refuse lists of the wrong length, and keys that contradict each other."""
    _check_model(config.model)
    check_training(config.train_cfg)
    _check_model_and_training(config.model, config.train_cfg)
    _check_loader_and_training(config.loader, config.train_cfg)
    _check_model_and_vae(config.model, config.vae)
    _check_data_and_vae(config.dataset, config.vae)
    _check_data_and_model(config.dataset, config.model)
    _check_model_name(config)
    _check_network(config.model)
    _check_edm(config.edm)
    if config.fm.teacher is not None:
        _check_distillation(config.fm, config.model, config.vae, config.train_cfg)
    _check_flow(config.fm, config.model, config.train_cfg)
    _check_text(config.model, config.dataset, config.text)
    _check_scores(config.model, config.train_cfg)
    _check_samplers(config)


def _check_model(model: Any) -> None:
    if len(model.img_shape) != 3:
        raise UserError(
            f"'model.img_shape' must be [channels, height, width], found {model.img_shape}"
        )
    if not model.dim_mults:
        raise UserError("'model.dim_mults' must name at least one level, found []")
    if any(not 0 <= level < len(model.dim_mults) for level in model.attn_levels):
        raise UserError(
            f"'model.attn_levels' {model.attn_levels} names a level that 'model.dim_mults' "
            f"{model.dim_mults} does not have; levels count from 0"
        )
    channels = model.dim * model.dim_mults[-1]
    if model.bottleneck == "transformer" and channels % model.bottleneck_heads:
        raise UserError(
            f"'model.bottleneck_heads' {model.bottleneck_heads} must divide the {channels} "
            "channels of the middle, 'model.dim' times the last of 'model.dim_mults'"
        )
    if model.label_dropout and not model.conditional:
        raise UserError("'model.label_dropout' needs labels to drop: set 'model.conditional: true'")


def _check_model_and_training(model: Any, train: Any) -> None:
    if train.uniform_share and train.min_snr_gamma is None:
        raise UserError(
            "'train_cfg.uniform_share' is for 'train_cfg.min_snr_gamma': without it, all time "
            "steps are drawn alike"
        )
    if train.guidance is not None and not model.label_dropout:
        raise UserError(
            "'train_cfg.guidance' needs a model that knows images without a label: set "
            "'model.label_dropout', e.g. to 0.1"
        )


def _check_loader_and_training(loader: Any, train: Any) -> None:
    if loader.batch_size % train.accumulate:
        raise UserError(
            f"'loader.batch_size' {loader.batch_size} must be divisible by "
            f"'train_cfg.accumulate' {train.accumulate}"
        )


def _check_model_and_vae(model: Any, vae: Any) -> None:
    if vae.kind == "kl" and not model.use_vae:
        raise UserError("'vae.kind: kl' is for a latent model: set 'model.use_vae: true'")
    if (vae.kind == "kl") != (vae.weights is not None):
        raise UserError(
            "'vae.weights' names the file of an autoencoder of 'vae.kind: kl', and neither goes "
            "without the other; TAESD's weights are in 'model.vae_encoder_weights' and "
            "'model.vae_decoder_weights'"
        )
    if vae.freeze_vae_epoch is not None and vae.kind != "kl":
        raise UserError("'vae.freeze_vae_epoch' is for an autoencoder of 'vae.kind: kl'")


def _check_data_and_vae(data: Any, vae: Any) -> None:
    if vae.freeze_vae_epoch is not None and data.latent_cache:
        raise UserError(
            "'dataset.latent_cache' keeps the latents of an autoencoder that does not change: set "
            "it to false, or 'vae.freeze_vae_epoch' to null"
        )


def _check_data_and_model(data: Any, model: Any) -> None:
    if data.latent_cache and not model.use_vae:
        raise UserError("'dataset.latent_cache' needs a latent model: set 'model.use_vae: true'")
    if data.val_data_folder is not None and data.val_fraction > 0:
        raise UserError(
            "'dataset.val_fraction' and 'dataset.val_data_folder' exclude each other: set one"
        )


def _check_model_name(config: Any) -> None:
    """Refuse keys that mean nothing to the kind of model."""
    of_edm, of_fm = (
        [f"{name}.{key}" for key in vars(getattr(config, name))] for name in ("edm", "fm")
    )
    of_others = {
        "DDPM": [*of_edm, *of_fm],
        "EDM": ["model.timesteps", *DDPM_ONLY, *of_fm],
        "FM": [*DDPM_ONLY, *of_edm],
    }
    for key in of_others[config.model_name]:
        if lookup(config, key) != lookup(type(config)(), key):
            raise UserError(
                f"'{key}' means nothing to a model of 'model_name: {config.model_name}': leave it "
                "out, or choose another model"
            )


def _check_network(model: Any) -> None:
    """Refuse keys that mean nothing to the kind of network, and sizes that it cannot have."""
    for name in MEANINGLESS[model.network]:
        if getattr(model, name) != getattr(type(model)(), name):
            raise UserError(
                f"'model.{name}' means nothing to 'model.network: {model.network}': leave it out, "
                "or choose another network"
            )
    if model.network == "mlp" and model.img_shape[1:] != [1, 1]:
        raise UserError(
            "'model.network: mlp' is for points, 'model.img_shape: [2, 1, 1]', not images of "
            f"{model.img_shape}: choose another network"
        )
    if model.network == "dit" and (model.dim % 4 or model.dim % model.num_heads):
        raise UserError(
            f"'model.dim' {model.dim} of 'model.network: dit' must be divisible by 4 and by "
            f"'model.num_heads' {model.num_heads}"
        )


def _check_edm(edm: Any) -> None:
    if edm.sigma_min >= edm.sigma_max:
        raise UserError(
            f"'edm.sigma_min' {edm.sigma_min} must be below 'edm.sigma_max' {edm.sigma_max}"
        )
    if edm.s_max is not None and edm.s_min > edm.s_max:
        raise UserError(f"'edm.s_min' {edm.s_min} must not be above 'edm.s_max' {edm.s_max}")


def _check_flow(fm: Any, model: Any, train: Any) -> None:
    if fm.prediction == "bounded" and model.use_vae:
        raise UserError("'fm.prediction: bounded' is for pixels: latents may be of any size")
    if not fm.mean_share:
        return
    if fm.prediction == "bounded":  # towards other times than 1 it is no image
        raise UserError("'fm.mean_share' goes without 'fm.prediction: bounded': take image")
    if model.network != "unet":
        raise UserError(
            f"'fm.mean_share' needs a network that takes two times, not 'model.network: "
            f"{model.network}': leave one of them out"
        )
    if fm.solver == "heun":
        raise UserError("'fm.mean_share' draws with mean velocities: leave out 'fm.solver: heun'")
    if train.channels_last:  # PyTorch's derivative of a norm knows one order of memory
        raise UserError("'fm.mean_share' needs 'train_cfg.channels_last: false'")


def _check_distillation(fm: Any, model: Any, vae: Any, train: Any) -> None:
    """Refuse what makes no sense for a flow that learns to draw in one evaluation."""
    if model.timesteps != 1:
        raise UserError(
            f"'fm.teacher' is distilled into one evaluation: set 'model.timesteps' to 1, not "
            f"{model.timesteps}"
        )
    if fm.mean_share:
        raise UserError("'fm.teacher' and 'fm.mean_share' exclude each other: set one")
    if fm.solver == "heun":
        raise UserError("'fm.teacher' is for one evaluation: leave out 'fm.solver: heun'")
    if train.guidance is not None:
        raise UserError(
            "'train_cfg.guidance' needs a network that knows images without a label, which a "
            "student of 'fm.teacher' does not learn: leave it out"
        )
    if vae.freeze_vae_epoch is not None:
        raise UserError("'fm.teacher' knows its own latents: set 'vae.freeze_vae_epoch' to null")


def _check_text(model: Any, data: Any, text: Any) -> None:
    """Refuse captions without a model that reads them, and texts without captions."""
    reads_text = model.context == "tokens"
    if reads_text != (data.name == "COCOCaptions"):
        raise UserError(
            "'model.context: tokens' is for captions, and neither goes without the other: set "
            "'dataset.name: COCOCaptions', whose images have no classes"
        )
    if data.annotations is not None and not reads_text:
        raise UserError("'dataset.annotations' names the captions of COCOCaptions: leave it out")
    if not reads_text:
        for name, value in vars(type(text)()).items():
            if getattr(text, name) != value:
                raise UserError(f"'text.{name}' is for a model with 'model.context: tokens'")
        return
    if not model.conditional:
        raise UserError(
            "'model.context: tokens' needs a network that reads them: leave out "
            "'model.conditional: false'"
        )
    if text.encoder is not None and text.hub_name is not None:
        raise UserError("'text.encoder' and 'text.hub_name' exclude each other: set one")
    if text.encoder is not None or text.hub_name is not None:
        return  # its width is known once it is read
    if text.vocabulary is None:
        raise UserError(
            "'model.context: tokens' needs a text encoder: set 'text.encoder' to the folder of a "
            "published one, or 'text.vocabulary' for a random one"
        )
    if text.width % text.heads:
        raise UserError(f"'text.heads' {text.heads} must divide 'text.width' {text.width}")
    if model.context_dim != text.width:
        raise UserError(
            f"'model.context_dim' {model.context_dim} must equal 'text.width' {text.width}: the "
            "network reads the text encoder's tokens as they are"
        )


def _check_scores(model: Any, train: Any) -> None:
    """Refuse contradictions among the keys for scores during training."""
    if model.context == "tokens" and train.num_eval_classes is not None:
        raise UserError("captions have no classes: leave 'train_cfg.num_eval_classes' null")
    if model.context == "tokens" and ("accuracy" in train.eval_metrics or train.eval_classes):
        raise UserError(
            "captions have no classes: leave accuracy out of 'train_cfg.eval_metrics', and "
            "'train_cfg.eval_classes' null"
        )
    compared = set(train.eval_metrics) & {"fid", "kid", "is", "pr"}
    if model.context == "tokens" and compared and train.eval_features == "lenet":
        raise UserError(
            "'train_cfg.eval_features: lenet' learns from classes, which captions do not have: set "
            "it to inception"
        )
    if "accuracy" in train.eval_metrics and not model.conditional:
        raise UserError(
            "'train_cfg.eval_metrics' has accuracy, which needs a model with labels: leave it out, "
            "or set 'model.conditional: true'"
        )
    possible = [name for metric in train.eval_metrics for name in SCORES_TO_CHOOSE_BY[metric]]
    if train.best_metric is not None and train.best_metric not in possible:
        metrics = [m for m, names in SCORES_TO_CHOOSE_BY.items() if train.best_metric in names]
        raise UserError(
            f"'train_cfg.best_metric' {train.best_metric} is not measured: "
            + (
                f"add {metrics[0]} to 'train_cfg.eval_metrics'"
                if metrics
                else "it is for autoencoders; choose one of 'train_cfg.eval_metrics', or null for "
                "the validation loss"
            )
        )
    if train.eval_classes is None:
        return
    if not model.conditional:
        raise UserError(
            "'train_cfg.eval_classes' needs a model with labels: leave it out, or set "
            "'model.conditional: true'"
        )
    numbers = {"model.num_classes": model.num_classes, "train_cfg.eval_samples": train.eval_samples}
    for key, most in numbers.items():
        if train.eval_classes > most:
            raise UserError(
                f"'train_cfg.eval_classes' {train.eval_classes} must not be above '{key}', {most}"
            )


def _check_samplers(config: Any) -> None:
    """Refuse what the samplers of pictures and scores cannot do."""
    train = config.train_cfg
    for sampler, steps in (("sampler", "sampler_steps"), ("eval_sampler", "eval_steps")):
        _check_sampler(config, f"train_cfg.{sampler}", f"train_cfg.{steps}")
    if train.sampler_eta is not None and train.sampler not in HAVE_ETA:
        raise UserError(
            f"'train_cfg.sampler_eta' is the noise of {', '.join(HAVE_ETA)}: set "
            "'train_cfg.sampler' to one of them"
        )
    if train.sampler_spacing is not None and train.sampler not in HAVE_SPACING:
        raise UserError(
            f"'train_cfg.sampler_spacing' is for {', '.join(HAVE_SPACING)}: set "
            "'train_cfg.sampler' to one of them"
        )


def _check_sampler(config: Any, key: str, steps_key: str) -> None:
    """Refuse steps that a sampler cannot take."""
    sampler, steps = lookup(config, key), lookup(config, steps_key)
    if steps is not None and sampler in (None, "own"):
        example = "heun" if config.model_name == "EDM" else "ddim"
        raise UserError(
            f"'{steps_key}': the model's own sampler has its own steps; set '{key}', e.g. to "
            f"{example}"
        )
    if config.model_name == "DDPM" and (steps or 0) > config.model.timesteps:
        raise UserError(
            f"'{steps_key}' {steps} must not be above 'model.timesteps', {config.model.timesteps}"
        )
