"""Pictures: grids, films and training curves."""

import warnings
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from libs.runtime import visualize
from libs.runtime.visualize import (
    CELL,
    captioned_grid,
    image_grid,
    save_film,
    save_image,
    save_training_curve,
    to_pil,
    with_margins,
)
from libs.training.run_log import History

PADDING = 4
GREY = 128


def cells(grid: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """The pictures of a grid, uint8 [rows, columns, 3, h, w]; all around them must be grey."""
    height = (grid.shape[1] - PADDING) // rows
    width = (grid.shape[2] - PADDING) // columns
    assert grid.shape == (3, rows * height + PADDING, columns * width + PADDING)
    rest = grid.clone()
    found = []
    for row in range(rows):
        for column in range(columns):
            down = slice(PADDING + row * height, (row + 1) * height)
            right = slice(PADDING + column * width, (column + 1) * width)
            found.append(grid[:, down, right])
            rest[:, down, right] = GREY
    assert (rest == GREY).all()
    return torch.stack(found).unflatten(0, (rows, columns))


def bytes_of(images: torch.Tensor) -> torch.Tensor:
    return images.mul(255).round().to(torch.uint8)


# Grids


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 28, 28), (3, 6, 12), (3, 64, 64), (3, 96, 80)])
def test_grid_pixels_are_crisp(shape):
    """Small images are enlarged by a whole factor: each pixel becomes a square of one colour."""
    torch.manual_seed(0)
    images = torch.rand(6, *shape)
    found = cells(image_grid(images, columns=3), rows=2, columns=3).flatten(0, 1)
    factor = found.shape[-1] // shape[-1]
    assert max(found.shape[-2:]) >= CELL
    assert (factor - 1) * max(shape[1:]) < CELL
    enlarged = bytes_of(images).expand(-1, 3, -1, -1)
    square = torch.ones(factor, factor, dtype=torch.uint8)
    assert torch.equal(found, torch.kron(enlarged, square))


def test_grid_fills_rows_first():
    """Pictures fill the rows from the left, so that labels 0, 1, 2, 0, 1, 2 are columns."""
    values = torch.linspace(0, 1, 6)
    found = cells(image_grid(values[:, None, None, None].expand(6, 1, 64, 64), 3), 2, 3)
    assert torch.equal(found[:, :, 0, 0, 0].flatten(), bytes_of(values))


def test_grid_with_an_unfinished_row():
    """Where pictures do not fill the last row, the rest of it is grey."""
    found = cells(image_grid(torch.ones(4, 1, 64, 64), 3), 2, 3)
    assert (found[1, 0] == 255).all()
    assert (found[1, 1:] == GREY).all()


def test_grid_of_one_picture():
    """A single picture is a grid, too: uint8 with three channels."""
    grid = image_grid(torch.rand(1, 1, 8, 8), 5)
    assert grid.dtype == torch.uint8
    assert grid.shape[0] == 3
    assert min(grid.shape[1:]) >= CELL


@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 5, 7)])
def test_png_round_trip(tmp_path, shape):
    """A PNG holds exactly the values of the image, and its folder is made where it is missing."""
    torch.manual_seed(0)
    image = torch.randint(0, 256, shape, dtype=torch.uint8)
    for given in (image, image.float() / 255):
        save_image(given, tmp_path / "deep/picture.png")
        with Image.open(tmp_path / "deep/picture.png") as file:
            pixels = np.asarray(file).reshape(5, 7, shape[0])
        assert np.array_equal(pixels, image.permute(1, 2, 0).numpy())


def test_to_pil_modes():
    """One channel becomes a grey picture, three a colour picture."""
    assert to_pil(torch.rand(1, 4, 6)).mode == "L"
    assert to_pil(torch.rand(3, 4, 6)).mode == "RGB"
    assert to_pil(torch.rand(3, 4, 6)).size == (6, 4)


def test_captions_stand_under_their_pictures():
    """Each row of pictures stays whole, and its captions, wrapped, keep to their columns."""
    images = torch.rand(3, 3, 80, 64)
    long = "a very long caption of " + "w" * 40
    grid = captioned_grid(images, ["short", long, ""], columns=2)
    wide = 2 * 64 + 3 * PADDING
    assert grid.dtype == torch.uint8
    assert grid.shape[2] == wide
    first = image_grid(images[:2], 2)
    assert torch.equal(grid[:, : first.shape[1]], first)
    last = image_grid(images[2:], 2)
    assert torch.equal(grid[:, -last.shape[1] - PADDING : -PADDING, : last.shape[2]], last)
    ink = grid[0, first.shape[1] : -last.shape[1] - PADDING] < GREY  # [height, width]
    assert not ink[:, : PADDING - 1].any()
    assert not ink[:, 64 + PADDING + 1 : 64 + 2 * PADDING - 1].any()
    assert not ink[:, -PADDING:].any()
    lines_of = [ink[:, :64].any(dim=1), ink[:, 64 + 2 * PADDING :].any(dim=1)]
    assert 0 < lines_of[0].sum() < lines_of[1].sum() / 3


NAMES = {
    "short": (["cat", "dog", "ship"], False),
    "empty in between": (["cat", "", "ship"], False),
    "one wide": (["cat", "a leopard seen from above", "ship"], True),
    "endless": (["cat", "w" * 500, "line\nbreak"], True),
}


@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("beside", [[], ["guidance 0", "guidance 7.5"], ["a", "long " * 60]])
def test_margins_keep_to_their_places(names, beside):
    """The grid stays whole below and right of its margins; no name leaves its column or block."""
    grid = image_grid(torch.rand(12, 3, 64, 64), columns=3)
    names, turned = NAMES[names]
    page = with_margins(grid, names, beside)
    assert page.dtype == torch.uint8
    _, height, width = grid.shape
    assert torch.equal(page[:, -height:, -width:], grid)
    assert (page.shape[2] > width) == bool(beside)
    top, left = page[0, :-height, -width:] < GREY, page[0, -height:, :-width] < GREY
    assert not (page[0, :-height, : page.shape[2] - width] < GREY).any()
    assert (top.shape[0] > 30) == turned
    assert top.shape[0] < 200
    assert left.shape[1] < 150
    for i, name in enumerate(names):
        assert top[:, PADDING + i * 68 : (i + 1) * 68].any() == bool(name)
        assert not top[:, (i + 1) * 68 : (i + 1) * 68 + PADDING].any()
    for i in range(len(beside)):
        assert left[i * 136 + PADDING : (i + 1) * 136].any()
        assert not left[(i + 1) * 136 : (i + 1) * 136 + PADDING].any()


def test_without_names_there_is_no_margin():
    """A grid of no classes stays as it is."""
    grid = image_grid(torch.rand(4, 1, 8, 8), columns=2)
    assert torch.equal(with_margins(grid, ["", ""], []), grid)
    assert torch.equal(with_margins(grid), grid)


@pytest.mark.parametrize("cell", [8, 128, 256])
def test_letters_grow_with_the_cells(cell):
    """Names are readable beside small cells, and larger beside large ones."""
    grid = image_grid(torch.rand(2, 3, cell, cell), columns=2)
    ink = with_margins(grid, ["H", "H"])[0, : -grid.shape[1]] < GREY
    tall = int(ink.any(dim=1).sum())
    assert tall >= (12 if cell > 128 else 7)


# Films


def film(length: int, number: int = 2) -> list[torch.Tensor]:
    """Frames of flat grey pictures that brighten over time; sample i begins at 0.1 i."""
    start = torch.arange(number) * 0.1
    return [
        (start + 0.5 * i / length)[:, None, None, None].expand(number, 1, 64, 64).clone()
        for i in range(length)
    ]


@pytest.mark.parametrize(("length", "columns"), [(30, 11), (11, 11), (4, 4), (1, 1)])
def test_film_strip(tmp_path, length, columns):
    """A strip has a sample a row, with x_T at the left and the finished sample at the right."""
    frames = film(length)
    save_film(frames, tmp_path / "deep/film.png")
    with Image.open(tmp_path / "deep/film.png") as file:
        grid = torch.from_numpy(np.asarray(file).copy()).permute(2, 0, 1)
    margin = grid.shape[1] - (2 * 68 + 4)
    assert (margin > 0) == (columns > 1)
    ink = (grid[0, :margin] < GREY).any(dim=0)  # x_T above the first column, x_0 above the last
    assert ink[:68].any() == ink[-68:].any() == (columns > 1)
    assert not ink[68:-68].any()
    shades = cells(grid[:, margin:], 2, columns)[:, :, 0, 0, 0]
    for sample in range(2):
        row = shades[sample].tolist()
        assert row == sorted(row)
        assert len(set(row)) == columns
        assert row[0] == bytes_of(frames[0])[sample, 0, 0, 0]
        assert row[-1] == bytes_of(frames[-1])[sample, 0, 0, 0]


def test_gif(tmp_path):
    """A GIF shows all frames from x_T on, rests on the last one, and repeats for ever."""
    frames = film(6, number=3)
    save_film(frames, tmp_path / "deep/film.gif")
    with Image.open(tmp_path / "deep/film.gif") as file:
        assert file.n_frames >= len(frames)
        assert file.info["loop"] == 0
        shades, durations = [], []
        for i in range(file.n_frames):
            file.seek(i)
            shades.append(file.convert("L").getpixel((PADDING + 10, PADDING + 10)))
            durations.append(file.info["duration"])
    expected = [int(bytes_of(f)[0, 0, 0, 0]) for f in frames]
    assert np.allclose(shades[: len(frames)], expected, atol=2)
    assert np.allclose(shades[len(frames) :], expected[-1], atol=2)
    assert sum(durations[len(frames) - 1 :]) >= 1000
    assert max(durations[: len(frames) - 1]) <= 200


@pytest.mark.parametrize("number", [1, 7])
def test_gif_of_any_number_of_samples(tmp_path, number):
    """A film of one sample, or of several rows of them, is written as well."""
    save_film(film(3, number), tmp_path / "film.GIF")
    with Image.open(tmp_path / "film.GIF") as file:
        assert file.format == "GIF"
        assert file.n_frames >= 3


# Curves

LOSS = "mean squared error of the noise"
PART = {"epochs": [1, 2, 3], "train_loss": [1.0, None, 0.5], "val_loss": [None, None, None]}
PART |= {"epoch_loss": [1.5, None, 0.7]}
FULL = PART | {"test_loss": [0.9, None, 0.6], "step_epochs": [1, 2], "step_loss": [1.0, 0.8]}
FINE = PART | {"test_loss": [None] * 3, "step_epochs": [1, 2, 3, 4], "step_loss": [1.0] * 4}
ONE = {k: [1.0] for k in (*History.EPOCHS, *History.STEPS)} | {"scores": [None]}
NONE = {"epochs": [1], "step_epochs": [], "step_loss": []}
NONE |= {key: [None] for key in ("train_loss", "val_loss", "test_loss", "epoch_loss")}
SCORED = {"scores": [{"fid": 9.0, "accuracy": 0.5}, None, {"fid": 3.0, "accuracy": 0.9}]}
SCORED |= {"step_parts": [{"kl": 2.0, "perceptual": 0.0}, {"kl": 1.0, "perceptual": 0.0}]}


def history(values: dict, objective: str = LOSS) -> dict:
    """A run's history with these values."""
    return History(LOSS, objective, values).values


CURVES = {
    "full": history(FULL),
    "fine": history(FINE),
    "one epoch": history(ONE | {"step_parts": [None]}),
    "no epoch": history({}),
    "only None": history(NONE),
    "scores": history(FULL | SCORED, "another loss"),
    "negative": history(FULL | {"step_parts": [{"adversarial": -1.0}, {"adversarial": 20.0}]}),
}


@pytest.mark.parametrize("name", CURVES)
def test_training_curve(tmp_path, name):
    """A curve is drawn, without a warning, of any history: with gaps, one epoch, or none."""
    pytest.importorskip("matplotlib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_training_curve(CURVES[name], tmp_path / "curve.png")
    with Image.open(tmp_path / "curve.png") as picture:
        picture.load()
        assert min(picture.size) > 300


@pytest.fixture
def panels(monkeypatch, tmp_path):
    """A function that gives the panels which a history is drawn as."""
    pytest.importorskip("matplotlib")
    drawn = []
    monkeypatch.setattr(visualize.Panel, "draw", lambda panel, axes: drawn.append(panel))

    def of(values: dict) -> list[visualize.Panel]:
        drawn.clear()
        save_training_curve(values, tmp_path / "curve.png")
        return drawn

    return of


def test_training_curve_compares_what_was_measured_alike(panels):
    """Held-out and training images share a panel under the name of their loss; what training
    minimised joins them only where it is the same quantity."""
    (panel,) = panels(history(FULL))
    assert panel.title == LOSS
    assert [line[0] for line in panel.lines] == [
        "training batches",
        "train, averaged weights",
        "test, averaged weights",
    ]
    assert panel.lines[1][1:3] == ([1, 3], [1.0, 0.5])
    alike, training = panels(history(FULL, f"{LOSS}, t drawn by min-SNR weights"))
    assert [line[0].split(",")[0] for line in alike.lines] == ["train", "test"]
    assert training.title == f"while training: {LOSS}, t drawn by min-SNR weights"
    assert [line[1:3] for line in training.lines] == [([1, 3], [1.5, 0.7])]
    (alone,) = panels(history(FINE, "mean absolute error + 1e-06 KL"))
    assert (alone.title, len(alone.lines)) == ("mean absolute error + 1e-06 KL", 1)
    assert alone.lines[0][2] == [1.0] * 4


def test_training_curve_shows_scores_and_parts(panels):
    """Each score, and each part of the loss that is not zero all along, has a panel."""
    _, fid, accuracy, kl = panels(history(FULL | SCORED))
    titles = fid.title, accuracy.title, kl.title
    assert titles == ("score: fid (lower is better)", "score: accuracy", "in training: kl")
    assert fid.lines[0][1:3] == ([1, 3], [9.0, 3.0])
    assert accuracy.lines[0][1:3] == ([1, 3], [0.5, 0.9])
    assert kl.lines[0][1:3] == ([1, 2], [2.0, 1.0])


@pytest.mark.parametrize(
    ("values", "scale"),
    [([0.18, 0.15], "from 0"), ([1.0, 0.02], "logarithmic"), ([1.0, -0.5], "free"), ([], "free")],
)
def test_scale_of_a_loss(values, scale):
    """A cut-off scale would magnify the gap between two losses; a loss that falls tenfold is shown
    on a logarithmic scale, which takes no negative values; a score is as it is."""
    axes, score = mock.Mock(), mock.Mock()
    lines = [("train", list(range(len(values))), values, {})]
    visualize.Panel("loss", lines).draw(axes)
    visualize.Panel("score", lines, is_loss=False).draw(score)
    assert axes.set_ylim.mock_calls == ([mock.call(bottom=0)] if scale == "from 0" else [])
    assert axes.set_yscale.called == (scale == "logarithmic")
    assert not score.set_ylim.called
    assert not score.set_yscale.called


def test_training_curve_survives_a_full_disk(tmp_path, monkeypatch):
    """A curve that cannot be written leaves the one before as it was."""
    figure = pytest.importorskip("matplotlib.figure").Figure
    save_training_curve(CURVES["full"], tmp_path / "curve.png")
    before = (tmp_path / "curve.png").read_bytes()

    def half(self, path, **options):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", half)
    with pytest.raises(OSError, match="No space"):
        save_training_curve(CURVES["fine"], tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
