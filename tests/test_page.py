"""The page of a run: readable in a real browser, in one file, with scores once there are some."""

import base64
import html
import io
import json
import re
import shutil
import types
from unittest import mock

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from helpers.browser import colour_sets, contrast, open_in_browser
from helpers.files import ROOT
from helpers.scripts import call_script
from libs import config
from libs.doctor.patient import MOST_IMAGES
from libs.metrics import lenet, meanings
from libs.metrics.evidence import Score
from libs.page import charts, pictures, run_page
from libs.runtime.device import Precision
from libs.runtime.processes import Processes
from libs.runtime.visualize import Panel
from libs.training.diffusion_learner import DiffusionLearner
from libs.training.diffusion_losses import TrainingLoss

MOST_BYTES = 3_000_000
WRAPPER = """<!doctype html><meta charset="utf-8"><body>{frames}<pre id="found"></pre><script>
addEventListener("load", async () => {{
  const found = [];
  for (const frame of document.querySelectorAll("iframe")) {{
    const page = frame.contentDocument, width = frame.clientWidth;
    await page.getElementById("strip").decode();
    await new Promise((done) => setTimeout(done));
    const time = page.getElementById("time"), canvas = page.querySelector("canvas");
    const look = (value) => {{
      time.value = value;
      time.dispatchEvent(new frame.contentWindow.Event("input"));
      return [canvas.toDataURL(), page.getElementById("step").value];
    }};
    const [last, first] = [look(time.max), look(0)];
    const play = page.getElementById("play"), labels = [play.innerText];
    for (let n = 0; n < 2; n++) {{ play.click(); labels.push(play.innerText); }}
    found.push({{
      width: page.documentElement.clientWidth, scroll: page.documentElement.scrollWidth,
      beyond: [...page.querySelectorAll("body *")].filter((e) => e.offsetWidth
        && e.getBoundingClientRect().right > width + 0.5).map((e) => e.outerHTML.slice(0, 200)),
      title: page.querySelector("h1").innerText, labels, steps: [first[1], last[1]],
      moves: first[0] !== last[0],
      pictures: [...page.images].map((image) => image.naturalWidth),
      sides: [...page.querySelectorAll("canvas")].map((c) => c.clientWidth),
      background: frame.contentWindow.getComputedStyle(page.body).backgroundColor,
    }});
  }}
  document.getElementById("found").textContent = JSON.stringify(found);
}});
</script>"""


@pytest.fixture(scope="module")
def scored(run_folder, tmp_path_factory):
    """A copy of the finished run, after evaluate.py; returns the folder and what was printed."""
    folder = tmp_path_factory.mktemp("scored") / "digits_run"
    shutil.copytree(run_folder, folder)
    args = "--num", 40, "--metrics", "accuracy,grain,memorization"
    with mock.patch.object(lenet, "MIN_STEPS", 100):  # enough for a classifier of digits
        process = call_script("code/evaluate.py", folder, *args)
    assert process.returncode == 0, process.stderr
    return folder, process.stdout


def text_of(folder):
    return (folder / run_page.NAME).read_text(encoding="utf-8")


def picture_of(url):
    kind, content = url.split(",")
    return kind, Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize(
    ("scheme", "background"), [(1, "rgb(247, 247, 244)"), (0, "rgb(18, 21, 25)")]
)
def test_page_in_a_browser(scored, tmp_path, scheme, background):
    """Fits a phone and a desk by day and by night; pictures show, the film plays and is moved."""
    page, widths = text_of(scored[0]).replace("<details>", "<details open>"), (390, 1280)
    frames = "".join(
        f'<iframe width="{width}" height="844" style="border:0" srcdoc="{html.escape(page)}">'
        "</iframe>"
        for width in widths
    )
    flags = f"--blink-settings=preferredColorScheme={scheme}", "--virtual-time-budget=20000"
    seen = open_in_browser(WRAPPER.format(frames=frames), tmp_path, *flags)
    for width, found in zip(widths, seen, strict=True):
        assert found["width"] == width
        assert found["scroll"] == width
        assert found["beyond"] == []
        assert found["title"] == "digits_run"
        assert found["moves"], "the slider changes nothing"
        assert found["steps"] == ["10 of 10 steps left", "0 of 10 steps left"]
        assert found["labels"] == ["Play", "Pause", "Play"]
        assert len(found["pictures"]) == 4
        assert all(found["pictures"]), "a picture does not show"
        assert min(found["sides"]) >= 48, "a sample is too small to be seen"
        assert found["background"] == background


def test_page_is_one_small_file_with_no_link(scored):
    """It is sent, opened without a network, and shows the run's own config and commands."""
    folder, _ = scored
    page = text_of(folder)
    assert len(page) < MOST_BYTES
    sources = re.findall(r'\b(?:src|href|action|data)="([^"]*)"', page)
    assert len(sources) == 4
    assert all(source.startswith("data:image/") for source in sources)
    assert not re.search(r"https?:|url\(|@import", re.sub(r'"data:[^"]*"', "", page))
    shown = html.unescape(re.search(r"<details>.*?<pre>(.*?)</pre>", page, re.S)[1])
    saved = (folder / "config.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(shown) == yaml.safe_load(saved)
    assert "finished, epoch 0.5217 of 15" in page
    assert "mean squared error of the noise, by noise level" in page


def test_scores_join_the_page_beside_their_floors(scored):
    """Each with that of real images and a sentence; a second call replaces those of the first."""
    folder, printed = scored
    (file,) = re.findall("^the run's page: (.*)$", printed, re.M)  # relative where it is near
    assert (ROOT / file).resolve() == (folder / run_page.NAME).resolve()
    page = text_of(folder)
    rows = re.findall(r"<tr>\n<th scope=\"row\">(.*?)</tr>", page, re.S)
    assert len(rows) == 5  # accuracy, grain, three tests of memorization
    accuracy = re.search(r"^conditional accuracy ([\d.]+)$", printed, re.M)[1]
    numbers = re.findall(r"<td class=\"number\".*?>(.+?)</td>", rows[0])
    assert float(numbers[0]) == pytest.approx(float(accuracy), abs=6e-4)
    assert float(numbers[1]) > 0.9  # the classifier on real images
    assert all("<td>" in row and len(row.split("<td>")[1]) > 40 for row in rows), "no sentence"
    assert "no sign by" in page or "memorized, by" in page
    process = call_script("code/evaluate.py", folder, "--num", 40, "--metrics", "grain")
    assert process.returncode == 0, process.stderr
    again = text_of(folder)
    assert again.count('<th scope="row">') == 1
    assert again.count(run_page.BEGIN) == again.count(run_page.END) == 1
    assert again.split(run_page.BEGIN)[0] == page.split(run_page.BEGIN)[0]
    assert again.split(run_page.END)[1] == page.split(run_page.END)[1]


def test_command_to_train_on_raises_every_limit(run_folder):
    """A run that max_steps ended goes on only if that is raised, too."""
    text = text_of(run_folder)
    assert re.search(
        r"--resume \S+ --set train_cfg\.epochs=\d+ --set train_cfg\.max_steps=24", text
    )


def test_scores_leave_other_pages_alone(tmp_path):
    """A folder without a page, or with a page of the user's own, stays as it is."""
    section = run_page.ScoreSection([], "nothing", "test")
    assert run_page.add_scores(section, tmp_path) is None
    assert not any(tmp_path.iterdir())
    (tmp_path / run_page.NAME).write_bytes(b"<h1>mine</h1>\xff")
    assert run_page.add_scores(section, tmp_path) is None
    (tmp_path / run_page.NAME).write_bytes(b"<h1>mine</h1>")
    assert run_page.add_scores(section, tmp_path) is None
    assert (tmp_path / run_page.NAME).read_bytes() == b"<h1>mine</h1>"


def test_every_score_has_its_sentence():
    """A metric that is added gets one, too: names of scores as scoring.py writes them."""
    text = (ROOT / "code/libs/metrics/scoring.py").read_text(encoding="utf-8")
    names = re.findall(r'Score\(\s*f?"([^"{]+)', text)
    assert len(names) >= 10
    for name in [*names, "share with nearest-neighbour ratio up to 0.7", "C_T"]:
        assert meanings.explain(Score(name.strip(), 1.0, 2.0)), name


@pytest.mark.parametrize(
    ("name", "samples", "real", "expected"),
    [
        ("FID", 10.5, 10.0, "as good as real"),
        ("FID", 30.0, 10.0, "3.0 times"),
        ("FID", 5.0, 10.0, "better than"),
        ("FID", 5.0, None, "0 means no distance."),
        ("recall", 0.5, 0.9, "Real images get 0.9."),
        ("recall", 0.95, 0.9, "as good as real"),
        ("distance within a class", 2.0, 8.0, "25%"),
        ("C_T", -9.0, 0.1, "copies of them."),
    ],
)
def test_sentences_compare_with_the_floor(name, samples, real, expected):
    """Less is better for some scores, more for others, and neither for variety."""
    assert expected in meanings.explain(Score(name, samples, real))


def test_pictures_have_bounded_files():
    """Noise, which no format makes small, is shrunk until it fits; small pictures stay exact."""
    noise = torch.rand(3, 300, 200, generator=torch.Generator().manual_seed(0))
    kind, picture = picture_of(pictures.data_url(noise, 20_000))
    assert "jpeg" in kind
    assert picture.size in [(200, 300), (100, 150), (50, 75)]
    assert len(pictures.data_url(noise, 20_000)) < 20_000 * 4 / 3 + 50
    kind, picture = picture_of(pictures.data_url(noise[:1, :9, :7], 20_000))
    assert "png" in kind
    exact = noise[0, :9, :7].mul(255).round().to(torch.uint8)
    assert picture.size == (7, 9)
    assert np.array_equal(np.array(picture), exact.numpy())


def test_film_strip_has_a_frame_per_row_and_a_sample_per_column():
    """The strip that the page animates has its frames and samples in this order."""
    frames = [torch.full((2, 1, 40, 40), value) for value in (0.1, 0.2, 0.3)]
    frames[2][1] = 0.9
    strip = pictures.film_strip(frames)
    assert strip.shape == (1, 120, 80)
    corners = strip[0, ::40, ::40]
    torch.testing.assert_close(corners, torch.tensor([[0.1, 0.1], [0.2, 0.2], [0.3, 0.9]]))
    assert pictures.film_strip([torch.zeros(2, 1, 8, 8)]).shape == (1, 32, 64)  # enlarged


def test_cells_fill_the_last_row():
    """A last row with fewer images is filled with grey, and no image is lost."""
    images = torch.rand(5, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    grid = pictures.cells(images, 3)
    assert grid.shape == (3, 130, 196)
    torch.testing.assert_close(grid[:, 66:, 66:130], images[4])
    assert (grid[:, 66:, 132:] == 0.5).all()


def test_chart_puts_points_where_they_belong():
    """From the left edge at 0 to the right one at the end, the largest value on top."""
    panel = Panel("loss", [("train", [0.0, 5.0, 10.0], [4.0, 2.0, 1.0], {})])
    chart = charts.chart_of(panel)
    (label, points, marked), *others = chart.lines
    assert (label, others) == ("train", [])
    right, low = charts.WIDTH - charts.RIGHT, charts.HEIGHT - charts.BOTTOM
    (x0, y0), (x1, y1), (x2, y2) = marked
    assert (x0, x1, x2) == pytest.approx((charts.LEFT, (charts.LEFT + right) / 2, right))
    assert y0 == pytest.approx(charts.TOP)
    assert (low - y1, low - y2) == pytest.approx(((low - y0) / 2, (low - y0) / 4))  # from 0 on
    assert points.split()[0] == f"{x0:.1f},{y0:.1f}"
    assert [text for _, text in chart.x_ticks] == ["0", "2", "4", "6", "8", "10"]


def test_chart_of_losses_that_change_tenfold_is_logarithmic():
    """A loss that falls tenfold is drawn on a log scale with ticks at the powers of 10."""
    panel = Panel("loss", [("", [1.0, 2.0, 3.0], [100.0, 10.0, 1.0], {})])
    _, _, marked = charts.chart_of(panel).lines[0]
    assert marked[1][1] == pytest.approx((marked[0][1] + marked[2][1]) / 2)
    assert {text for _, text in charts.chart_of(panel).y_ticks} >= {"1", "10", "100"}


def test_chart_of_few_points():
    """One point, two equal ones, or none at all are not a reason to fail."""
    assert charts.chart_of(Panel("loss", [("", [], [], {})])) is None
    for ys in ([0.5], [0.5, 0.5], [0.0, 0.0]):
        chart = charts.chart_of(Panel("loss", [("", list(range(1, len(ys) + 1)), ys, {})]))
        assert chart.y_ticks
        assert len(chart.lines[0][2]) == len(ys)


def test_chart_of_many_points_is_thinned():
    """A long run's curve has few enough points for a small page, and ends at its last value."""
    values = [float(i) for i in range(5001)]
    _, points, marked = charts.chart_of(Panel("loss", [("", values, values, {})])).lines[0]
    assert len(points.split()) <= charts.MOST_POINTS + 1
    assert points.split()[-1].startswith(f"{charts.WIDTH - charts.RIGHT:.1f},")
    assert marked == []


@pytest.mark.curve
@pytest.mark.parametrize("name", ["digits", "mnist_edm"])
def test_loss_by_noise_level_is_the_loss_at_that_level(tmp_path, name):
    """Each number is what compute_loss gives there, and no random state is used up."""
    keys = ["dataset.name=Digits", "model.img_shape=[1, 8, 8]", "model.dim=8", "dtype=fp32"]
    keys += [f"output_folder={tmp_path}"]
    settings = config.load_config(f"configs/{name}.yaml", keys)
    precision, processes = Precision.pick("fp32", torch.device("cpu")), Processes()
    learner = DiffusionLearner(settings, precision, processes)
    before = torch.get_rng_state()
    found = learner.noise_levels()
    assert torch.equal(before, torch.get_rng_state())
    assert len(found.levels) == len(found.losses) == 10
    seen = []

    def loss(x, label, level, noise):
        seen.append((level[0].item(), len(x), x.min().item()))
        return (level.double() * noise.square().mean()).mean()

    learner.objective.compute_loss = loss
    again = learner.noise_levels()
    times = torch.tensor([level for level, *_ in seen])
    if name == "digits":
        alpha_bars = (1 - learner.model.betas).cumprod(dim=0)[times.long()]
        assert list(found.levels) == pytest.approx((1 / alpha_bars - 1).sqrt().tolist(), rel=1e-4)
    else:
        assert list(found.levels) == pytest.approx(times.tolist())
    assert {number for _, number, _ in seen} == {32}
    assert all(low >= -1 for *_, low in seen)
    ratios = [loss / time for loss, time in zip(again.losses, times.tolist(), strict=True) if time]
    assert ratios == pytest.approx([ratios[0]] * len(ratios))  # the same noise at all levels
    assert learner.loss.training


@pytest.mark.curve
def test_images_are_encoded_once_for_all_noise_levels_and_for_the_doctor(tmp_path):
    """With an autoencoder that scales images as a pixel model does, the numbers are the same."""
    keys = ["model.dim=8", "dtype=fp32", f"output_folder={tmp_path}"]
    settings = config.load_config("configs/digits.yaml", keys)
    precision, processes = Precision.pick("fp32", torch.device("cpu")), Processes()
    learner = DiffusionLearner(settings, precision, processes)
    in_pixels = learner.noise_levels()
    encoded = []

    class Scaling(torch.nn.Module):
        def encoder(self, x):
            encoded.append(len(x))
            return 2 * x - 1

    learner.model.use_vae, learner.model.vae = True, Scaling()
    learner.loss = TrainingLoss(learner.model, settings)
    assert learner.noise_levels() == in_pixels
    assert encoded == [32]
    learner.findings(0, False, [], None)
    once = sum(encoded)
    assert once == 32 + MOST_IMAGES
    learner.findings(0, False, [], None)
    assert sum(encoded) == once


def test_open_says_where_the_page_is_if_no_browser_opens(tmp_path, monkeypatch, capsys):
    """The page's place is printed if no browser opens, and without a page nothing happens."""
    asked = []
    browser = types.SimpleNamespace(open=lambda uri: asked.append(uri) or len(asked) == 1)
    monkeypatch.setattr(run_page, "webbrowser", browser)
    file = tmp_path / "a run" / run_page.NAME
    run_page.say_where(file.parent, opens=True)  # nothing was written
    file.parent.mkdir()
    file.write_text("<p>", encoding="utf-8")
    run_page.say_where(file.parent)
    assert asked == []
    capsys.readouterr()
    for said in (0, 1):
        run_page.say_where(file.parent, opens=True)
        assert capsys.readouterr().out.count("no browser") == said
    assert asked == [file.as_uri()] * 2


def test_text_has_the_contrast_that_wcag_asks_for():
    """4.5 to 1 for text and 3 to 1 for lines, by day and by night."""
    sets = colour_sets(run_page.TEMPLATES / "style.css")
    assert len(sets) == 2
    for colours in sets:
        for ground in ("page", "card"):
            for ink in ("text", "soft"):
                assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
        for line in (name for name in colours if re.fullmatch(r"line-\d", name)):
            assert contrast(colours[line], colours["card"]) >= 3, line
        assert contrast(colours["on-accent"], colours["accent"]) >= 4.5


def test_names_in_a_page_are_escaped(tmp_path):
    """A folder of images, and so a class, may be called anything."""
    evil = '<script>alert("1")</script>'
    grid = run_page.Grid("data:,", "", [evil])
    page = run_page.RunPage(evil, evil, evil, samples=grid, commands=[(evil, evil)])
    text = run_page.write_page(page, tmp_path).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count(html.escape(evil, quote=False).replace('"', "&#34;")) >= 6
    assert json.dumps(evil) not in text
