"""Train an autoencoder for latent diffusion: python train_autoencoder.py configs/NAME.yaml

A run goes through the config's stages, each in a folder of its own, and ends with model_final.pth,
which a diffusion model takes as `vae: {kind: kl, weights: FILE}`.
"""

import argparse
from pathlib import Path

from libs import cli
from libs.utils import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description="Train an autoencoder.")
    args = cli.training_args(parser, example="configs/digits_autoencoder.yaml")

    from libs import config
    from libs.autoencoder_config import AutoencoderConfig

    settings = config.load_config(args.config, args.set, AutoencoderConfig)
    if args.device is not None:
        settings.devices = [args.device]

    # torch takes seconds to import, so mistakes in the config are reported first
    from libs import run_folder, runtime
    from libs.first_stage.stages import train_stages

    device = runtime.pick_device(settings.devices)
    precision = runtime.Precision.pick(settings.dtype, device)
    resumed = args.resume and Path(args.resume)
    if resumed and resumed.name.startswith("stage-"):
        resumed = resumed.parent
    if resumed and not any(resumed.glob("stage-*/*.pth")):
        raise UserError(f"--resume {resumed}: it is no run folder with checkpoints of stages")
    with runtime.Processes.joined(device) as processes:
        name = Path(args.config).stem
        folder = resumed or processes.same(run_folder.choose(settings, name, args.output, None))
        if processes.is_main:
            print(config.dump_config(settings, Path.cwd()))
        freqs = args.print_freq, args.ckpt_freq
        final = train_stages(settings, folder, precision, processes, *freqs)
    if processes.is_main:
        print(f"trained autoencoder: {config.shown(final)}")


if __name__ == "__main__":
    cli.run(main)
