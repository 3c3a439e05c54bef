"""Line charts as SVG, in the colours of the page they are in."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..runtime.visualize import Panel

WIDTH, HEIGHT = 560, 300  # units of the drawing; the page scales it
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 40
MOST_POINTS = 400  # per line
MOST_MARKED = 60  # longer lines are drawn without dots


@dataclass
class Chart:
    """A chart ready to be written: places in the drawing's units, and texts.

    Attributes:
        title: above it.
        axis: below the horizontal axis.
        lines: label, points as "x,y x,y", and the points to mark, for each.
        x_ticks, y_ticks: place and text of each.
    """

    title: str
    axis: str
    lines: list[tuple[str, str, list[tuple[float, float]]]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM


def chart_of(panel: Panel, axis: str = "epoch", log_x: bool = False) -> Chart | None:
    """The chart of a panel; None where it has no points.

    Args:
        axis: what runs along the horizontal axis.
        log_x: whether it is logarithmic; its values are above 0 then.
    """
    lines = [(label, _thinned(xs), _thinned(ys)) for label, xs, ys, _ in panel.lines if xs]
    if not lines:
        return None
    xs = [x for _, values, _ in lines for x in values]
    ys = [y for _, _, values in lines for y in values]
    x_range = (min(xs), max(xs)) if log_x else (min(0, *xs, 0), max(xs))
    across = _Scale(*x_range, LEFT, WIDTH - RIGHT, log_x)
    low = 0.0 if panel.scale == "from 0" else min(ys)
    up = _Scale(low, max(ys), HEIGHT - BOTTOM, TOP, panel.scale == "log")
    drawn = []
    for label, columns, rows in lines:
        points = [(across(x), up(y)) for x, y in zip(columns, rows, strict=True)]
        marked = points if len(points) <= MOST_MARKED else []
        drawn.append((label, " ".join(f"{x:.1f},{y:.1f}" for x, y in points), marked))
    return Chart(panel.title, axis, drawn, across.ticks(6), up.ticks(5))


class _Scale:
    """From values to places between two ends of an axis, linear or logarithmic."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool):
        self.log = log
        if high <= low:  # one value alone
            high = low * 2 if log else low + max(1.0, abs(low))
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log(v) for v in (value, low, high))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, number: int) -> list[tuple[float, str]]:
        """Round values within the ends, about that many at most."""
        values = self._round_logs(number) if self.log else self._round_values(number)
        return [(self(value), f"{value:.6g}") for value in values]

    def _round_values(self, number: int) -> list[float]:
        raw = (self.high - self.low) / number
        power = 10 ** math.floor(math.log10(raw))
        step = next(s * power for s in (1, 2, 5, 10) if s * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def _round_logs(self, number: int) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1,), (1, 3), (1, 2, 5)):
            values = [d * 10.0**p for p in powers for d in digits]
            values = [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]
            if len(values) >= 3:
                break
        return values[:: math.ceil(len(values) / (number + 1)) or 1]


def _thinned(values: Sequence[float]) -> list[float]:
    """Every n-th of many values, and the last one."""
    step = math.ceil(len(values) / MOST_POINTS)
    kept = list(values[::step])
    return kept if (len(values) - 1) % step == 0 else [*kept, values[-1]]
