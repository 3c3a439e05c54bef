"""Train a diffusion model: python train.py configs/mnist.yaml

Checkpoints, samples and curves go to ../logs/CONFIG_TIME. On several GPUs, or processes:
torchrun --nproc_per_node 4 code/train.py configs/mnist.yaml
"""

import argparse
from pathlib import Path

from libs import cli


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a diffusion model.")
    parser.add_argument("config", help="YAML file, such as configs/mnist.yaml")
    parser.add_argument(
        "-p", "--print-freq", type=int, default=100, help="steps between two lines of output"
    )
    parser.add_argument(
        "-c", "--ckpt-freq", type=int, default=5, help="epochs between two checkpoints"
    )
    parser.add_argument("--output", metavar="NAME", help="name of the run instead of the time")
    parser.add_argument("--resume", metavar="PATH", help="checkpoint or run folder to go on from")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the config, such as train_cfg.epochs=3 (repeatable)",
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:0 or mps, instead of the config's")
    args = parser.parse_args()
    if min(args.print_freq, args.ckpt_freq) < 1:
        parser.error("--print-freq and --ckpt-freq must be at least 1")
    return args


def main() -> None:
    args = parse_args()

    from libs import config

    settings = config.load_config(args.config, args.set)
    if args.device is not None:
        settings.devices = [args.device]

    # torch takes seconds to import, so mistakes in the config are reported first
    from libs import checkpoint, run_folder, runtime
    from libs.diffusion import DiffusionLearner
    from libs.trainer import Trainer

    device = runtime.pick_device(settings.devices)
    precision = runtime.Precision.pick(settings.dtype, device)
    state = checkpoint.read(Path(args.resume)) if args.resume else None
    if state is not None:
        run_folder.check_same_run(settings, state)
    with runtime.Processes.joined(device) as processes:
        resumed = state and state["path"]
        name = Path(args.config).stem
        folder = processes.same(run_folder.choose(settings, name, args.output, resumed))
        learner = DiffusionLearner(settings, precision, processes)
        freqs = args.print_freq, args.ckpt_freq
        trainer = Trainer(learner, settings, folder, precision, processes, *freqs, state)
        if processes.is_main:
            print(config.dump_config(settings, Path.cwd()))
            print(trainer.describe())
            if resumed:
                print(f"going on from {config.shown(resumed)} at step {trainer.step}")
        final = trainer.fit()
    if processes.is_main:
        print(f"trained model: {config.shown(final)}")


if __name__ == "__main__":
    cli.run(main)
