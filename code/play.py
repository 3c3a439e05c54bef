"""Play with a trained model in a browser: python play.py ../logs/RUN

Draw with two settings side by side, finish a drawing of your own, fill a gap. The page is served on
this machine alone (127.0.0.1), unless --share asks for a public address. It needs Gradio:
pip install -r requirements/play.txt
"""

import argparse
from pathlib import Path

from libs.runtime import cli
from libs.utils import UserError


def main() -> None:
    parser = argparse.ArgumentParser(description="Play with a trained model in a browser.")
    parser.add_argument("checkpoint", help="a .pth file, or a run folder for its newest one")
    parser.add_argument("--port", type=int, help="of the page (default: a free one from 7860 on)")
    parser.add_argument("--open", action="store_true", help="open it in a browser")
    parser.add_argument(
        "--share", action="store_true", help="also give it a public address, by Gradio's servers"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0 or mps")
    cli.add_debug_flag(parser)
    args = parser.parse_args()

    from libs.models.build import load_model
    from libs.play.studio import Studio
    from libs.runtime.device import pick_device

    trained = load_model(Path(args.checkpoint), pick_device([args.device]))
    try:
        from libs.play.page import build, serve
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        advice = "pip install -r requirements/play.txt"
        raise UserError(
            f"the package gradio is not installed, the page needs it: {advice}"
        ) from None
    serve(build(Studio(trained), trained.path.parent.name), args.port, args.share, args.open)


if __name__ == "__main__":
    cli.run(main)
