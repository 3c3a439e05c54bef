"""Train an autoencoder for latent diffusion: python train_autoencoder.py configs/NAME.yaml

A run goes through the config's stages, each in a folder of its own, and ends with model_final.pth,
which a diffusion model takes as `vae: {kind: kl, weights: FILE}`.
"""

import argparse
from pathlib import Path

from libs.runtime import cli
from libs.utils import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description="Train an autoencoder.")
    flags = cli.training_flags(parser, example="configs/digits_autoencoder.yaml")

    from libs import config
    from libs.settings.autoencoder import AutoencoderConfig

    settings = config.load_config(flags.config, flags.overrides, AutoencoderConfig)
    if flags.device is not None:
        settings.devices = [flags.device]

    # torch takes seconds to import, so mistakes in the config are reported first
    from libs.page.run_page import say_where
    from libs.runtime.device import Precision, pick_device
    from libs.runtime.processes import Processes
    from libs.training import run_folder
    from libs.training.stages import train_stages
    from libs.utils import shown

    device = pick_device(settings.devices)
    precision = Precision.pick(settings.dtype, device)

    def choose_folder() -> Path:
        if not flags.resume:
            return run_folder.choose(settings, Path(flags.config).stem, flags.output, None)
        resumed = Path(flags.resume)
        resumed = resumed.parent if resumed.name.startswith("stage-") else resumed
        if not any(resumed.glob("stage-*/*.pth")):
            raise UserError(f"--resume {resumed}: not a run folder with checkpoints of stages")
        return resumed

    with Processes.joined(device) as processes:
        run_folder.check_same_everywhere(settings, precision, processes)
        precision.agree(processes)
        folder = processes.ask_first(choose_folder)
        if processes.is_main:
            print(config.dump_config(settings, Path.cwd()))
        freqs = flags.print_freq, flags.ckpt_freq
        final = train_stages(settings, folder, precision, processes, *freqs)
    if processes.is_main:
        print(f"trained autoencoder: {shown(final)}")
        say_where(final.parent / f"stage-{len(settings.stages)}", flags.open)


if __name__ == "__main__":
    cli.run(main)
