"""The page of play.py, in Gradio: what a `Playground` can do, as sliders, buttons and a canvas."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..samplers.edit_flags import STRENGTH
from ..utils import UserError
from .playground import MOST, Playground, Wish

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # it works without a network
import gradio as gr  # optional, see requirements/play.txt

HOST = "127.0.0.1"
FONTS = ["system-ui", "sans-serif"]  # of the reader's machine: nothing is downloaded
ERASER = "#e0a000"
SHOWN = {"interactive": False, "buttons": ["fullscreen", "download"]}  # of pictures
STYLE = """
.gradio-container {max-width: 1080px !important; width: 100%; margin: 0 auto}
.drawn img {image-rendering: pixelated}
"""


def build(studio: Playground, name: str) -> gr.Blocks:
    """The page for a model.

    Args:
        studio: the model.
        name: of the run, its title.
    """
    with gr.Blocks(title=f"{name}: play") as page:
        gr.Markdown(f"# {name}\n{studio.about}")
        with gr.Tab("Draw"):
            _drawing_tab(studio)
        if studio.can_edit:
            with gr.Tab("Finish a drawing"):
                _finishing_tab(studio)
            with gr.Tab("Fill a gap"):
                _filling_tab(studio)
    return page


def serve(page: gr.Blocks, port: int | None, share: bool, opens: bool, wait: bool = True) -> str:
    """Serve a page on this machine alone, unless it is to be shared; returns its address.

    Raises UserError where the port is taken.
    """
    try:
        _, url, public = page.launch(
            server_name=HOST,
            server_port=port,
            share=share,
            inbrowser=opens,
            quiet=True,
            prevent_thread_lock=True,
            theme=gr.themes.Base(font=FONTS, font_mono=["monospace"]),
            css=STYLE,
            footer_links=[],
        )
    except OSError:
        raise UserError(f"--port: {port} is taken, name another one or leave it out") from None
    print(f"open in a browser: {url}", flush=True)
    if public:
        print(f"anybody can use it for a week: {public}", flush=True)
    if wait:
        page.block_thread()
    return url


def _settings(studio: Playground, sampler: str, drawing: bool = True) -> list[Any]:
    """The controls of a wish, in the order of `_wish`."""
    usual, most = studio.usual_steps()
    if studio.reads_text:
        what = gr.Textbox(studio.prompt, label="Prompt")
    else:
        choices = studio.choices() or ["anything"]
        what = gr.Dropdown(choices, value=choices[0], label="What", interactive=len(choices) > 1)
    number = gr.Slider(1, MOST, 4, step=1, label="Pictures", visible=not studio.are_points)
    names = gr.Dropdown(studio.samplers, value=sampler, label="Sampler", visible=drawing)
    steps = gr.Slider(1, most, usual, step=1, label="Steps")
    eta = gr.Slider(0, 1, 0, label="Eta (noise of ddim, dpm++ and deis)", visible=drawing)
    guidance = gr.Slider(0, 8, 1, step=0.5, label="Guidance", visible=studio.can_guide)
    return [what, number, names, steps, eta, guidance]


def _wish(studio: Playground, *values: Any) -> Wish:
    what, number, sampler, steps, eta, guidance, seed = values
    scale = float(guidance) if studio.can_guide else None
    return Wish(what or "", int(number), sampler, int(steps), float(eta), scale, int(seed or 0))


def _picture(label: str, kind: str) -> gr.Image:
    return gr.Image(label=label, elem_id=kind, elem_classes="drawn", height=340, **SHOWN)


def _drawing_tab(studio: Playground) -> None:
    gr.Markdown("Two settings side by side, from the same noise (own has noise of its own).")
    seed = gr.Number(0, precision=0, label="Seed", elem_id="seed")
    button = gr.Button("Draw", variant="primary", elem_id="draw")
    first = studio.samplers[0]
    other = "ddim" if "ddim" in studio.samplers else first
    columns, results = [], []
    with gr.Row():
        for number, sampler in enumerate((other, first)):
            with gr.Column(min_width=300):
                results.append(_picture("AB"[number], f"picture-{number}"))
                columns.append(_settings(studio, sampler))

    def draw(*values: Any) -> Iterator[tuple[np.ndarray | None, np.ndarray | None]]:
        half = (len(values) - 1) // 2
        wishes = [
            _wish(studio, *values[:half], values[-1]),
            _wish(studio, *values[half:-1], values[-1]),
        ]
        shown: list[np.ndarray | None] = [None, None]
        for i, wish in enumerate(wishes):
            for picture in _said(studio.draw(wish)):
                shown[i] = picture
                yield shown[0], shown[1]

    button.click(draw, [*columns[0], *columns[1], seed], results)


def _painting(
    studio: Playground, result: tuple[str, str], brush: tuple[int, str], **options: Any
) -> tuple[gr.ImageEditor, gr.Image]:
    """A canvas to paint on, and beside it the picture that comes of it.

    Args:
        result: label and id of that picture.
        brush: which part of the canvas's width it has, as 9 for a ninth, and its colour.
        options: more of the canvas.
    """
    height, width = studio.blank().shape[:2]
    part, colour = brush
    with gr.Row():
        with gr.Column(min_width=300):
            canvas = gr.ImageEditor(
                type="numpy",
                transforms=(),
                brush=gr.Brush(default_size=width // part, colors=[colour], color_mode="fixed"),
                canvas_size=(width, height),
                fixed_canvas=True,
                **options,
            )
        with gr.Column(min_width=300):
            shown = _picture(*result)
    return canvas, shown


def _finishing_tab(studio: Playground) -> None:
    gr.Markdown("Draw with the mouse, white on black, and let the model finish it (SDEdit).")
    canvas, result = _painting(
        studio,
        ("Finished", "finished"),
        brush=(9, "#ffffff"),
        value=studio.blank(),
        label="Canvas",
        elem_id="canvas",
        image_mode="RGB",
        sources=(),
        layers=False,
    )
    button = gr.Button("Finish it", variant="primary", elem_id="finish")
    strength = gr.Slider(0.05, 1, STRENGTH, label="Strength (how much to replace)")
    seed = gr.Number(0, precision=0, label="Seed")
    settings = _settings(studio, "ddim", drawing=False)

    def finish(drawn: dict[str, Any] | None, strength: float, *values: Any) -> np.ndarray:
        picture = None if drawn is None else drawn["composite"]
        return _done(lambda: studio.finish(picture, _wish(studio, *values), strength))

    button.click(finish, [canvas, strength, *settings, seed], result)


def _filling_tab(studio: Playground) -> None:
    gr.Markdown("Paint over a part of a picture, and let the model draw it again (RePaint).")
    new = gr.Button("Draw a picture to begin with", elem_id="new")
    hint = gr.Markdown("Or upload one.", elem_id="hint")
    canvas, result = _painting(
        studio,
        ("Filled", "filled"),
        brush=(6, ERASER),
        label="Picture",
        elem_id="gap",
        image_mode="RGBA",
        sources=("upload",),
        layers=gr.LayerOptions(allow_additional_layers=False),
    )
    button = gr.Button("Fill the gap", variant="primary", elem_id="fill")
    seed = gr.Number(0, precision=0, label="Seed")
    settings = _settings(studio, "ddim", drawing=False)

    def begin(*values: Any) -> tuple[np.ndarray, str]:
        picture = _done(lambda: studio.one(_wish(studio, *values)))
        return picture, "Now paint over the part that is to be drawn again."

    def fill(drawn: dict[str, Any] | None, *values: Any) -> np.ndarray:
        picture = None if drawn is None else drawn["background"]
        layers = [] if drawn is None else drawn["layers"]
        erased = layers[0][..., 3] if layers else np.zeros((1, 1))
        return _done(lambda: studio.fill(picture, erased, _wish(studio, *values)))

    new.click(begin, [*settings, seed], [canvas, hint])
    button.click(fill, [canvas, *settings, seed], result)


def _done(work: Any) -> Any:
    """What a function returns; what its user can mend is shown on the page."""
    try:
        return work()
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _said(pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """As `_done`, for what comes one after the other."""
    while (picture := _done(lambda: next(pictures, None))) is not None:
        yield picture
