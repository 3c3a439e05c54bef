"""Train a diffusion model: python train.py configs/mnist.yaml

Checkpoints, samples and a page that shows it all, index.html, go to ../logs/CONFIG_TIME. On several
GPUs, or processes: torchrun --nproc_per_node 4 code/train.py configs/mnist.yaml; on several
machines, see docs/several_machines.md.
"""

import argparse
from pathlib import Path

from libs.runtime import cli


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a diffusion model.")
    flags = cli.training_flags(parser, example="configs/mnist.yaml")

    from libs import config

    settings = config.load_config(flags.config, flags.overrides)
    if flags.device is not None:
        settings.devices = [flags.device]

    # torch takes seconds to import, so mistakes in the config are reported first
    from libs.page.run_page import say_where
    from libs.runtime import checkpoint
    from libs.runtime.device import Precision, pick_device
    from libs.runtime.processes import Processes
    from libs.training import run_folder
    from libs.training.diffusion_learner import DiffusionLearner
    from libs.training.trainer import Trainer
    from libs.utils import shown

    device = pick_device(settings.devices)
    precision = Precision.pick(settings.dtype, device)
    with Processes.joined(device) as processes:
        run_folder.check_same_everywhere(settings, precision, processes)
        precision.agree(processes)
        state = resumed = None
        if flags.resume:
            state = processes.ask_first(lambda: checkpoint.read(Path(flags.resume)))
            run_folder.check_same_run(settings, state)
            resumed = state["path"]
        name = Path(flags.config).stem
        folder = processes.ask_first(
            lambda: run_folder.choose(settings, name, flags.output, resumed)
        )
        learner = DiffusionLearner(settings, precision, processes)
        freqs = flags.print_freq, flags.ckpt_freq
        trainer = Trainer(learner, settings, folder, precision, processes, *freqs, state)
        if processes.is_main:
            print(config.dump_config(settings, Path.cwd()))
            print(trainer.describe())
            if resumed:
                print(f"going on from {shown(resumed)} at step {trainer.step}")
        final = trainer.fit()
    if processes.is_main:
        print(f"trained model: {shown(final)}")
        say_where(final.parent, flags.open)


if __name__ == "__main__":
    cli.run(main)
