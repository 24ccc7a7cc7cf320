"""Forest plots and ROC curves as inline SVG: no script, no image file, a text alternative on each.

Colours are Okabe and Ito's, told apart by colour-blind readers; shape and words say the same again
(a diamond and "flagged", a hollow mark and "too few"). Sizes are in SVG user units, ≈ CSS pixels.
Neighbour: ``render`` puts them into the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bias_audit.rows import Floats
from bias_audit.wording import interval, number

WIDTH, NAME_WIDTH, ROW, TOP, BOTTOM, RIGHT = 430, 150, 20, 8, 34, 46
BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#767676", "#1f2933"
LINES = ((BLUE, ""), (ORANGE, "7 3"), ("#009E73", "2 3"), ("#AA4499", "9 3 2 3"), (INK, "1 2"))

Place = Callable[[float], float]  # a value of the metric → its x


@dataclass(frozen=True)
class Mark:
    """One row of a forest plot; ``estimate`` None where the status is not ok."""

    name: str
    estimate: float | None
    low: float | None
    high: float | None
    note: str  # "n = 120", or why there is no figure
    flagged: bool = False
    heading: bool = False  # a line of text without a mark


def forest(title: str, marks: Sequence[Mark], overall: float | None) -> str:
    """An SVG with one row a stratum: estimate, interval, and a dashed line at everyone's estimate."""
    ends = [x for m in marks if m.estimate is not None for x in (m.low, m.high, m.estimate) if x is not None]
    lower = max(0.0, np.floor(min(ends, default=0.0) * 10) / 10)
    upper = min(1.0, np.ceil(max(ends, default=1.0) * 10) / 10)
    if upper - lower < 0.2:
        lower, upper = max(0.0, upper - 0.2), max(0.2, upper)
    right = WIDTH - RIGHT

    def x(value: float) -> float:
        return NAME_WIDTH + (value - lower) / (upper - lower) * (right - NAME_WIDTH)

    height = TOP + ROW * len(marks) + BOTTOM
    floor = TOP + ROW * len(marks)
    body = [_axis_line(x, lower, upper, floor)]
    if overall is not None:
        body.append(f'<line class="ref" x1="{x(overall):.1f}" x2="{x(overall):.1f}" y1="{TOP}" y2="{floor}"/>')
    body += [_row(mark, TOP + ROW * (k + 0.5), x) for k, mark in enumerate(marks)]
    words = "; ".join(_words(mark) for mark in marks if not mark.heading)
    return _svg(WIDTH, height, title, words, "".join(body))


def _axis_line(x: Place, lower: float, upper: float, floor: float) -> str:
    step = 0.1 if upper - lower <= 0.5 else 0.2
    ticks = np.arange(lower, upper + 1e-9, step)
    lines = [f'<line class="axis" x1="{x(lower):.1f}" x2="{x(upper):.1f}" y1="{floor}" y2="{floor}"/>']
    for tick in ticks:
        lines.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{floor + 4}"/>')
        lines.append(f'<text class="tick" x="{x(tick):.1f}" y="{floor + 18}" text-anchor="middle">{tick:.1f}</text>')
    return "".join(lines)


def _row(mark: Mark, y: float, x: Place) -> str:
    if mark.heading:
        return f'<text class="head" x="0" y="{y + 5:.1f}">{escape(mark.name)}</text>'
    name = mark.name if len(mark.name) <= 22 else mark.name[:21] + "…"
    text = f'<text class="name" x="8" y="{y + 4:.1f}">{escape(name)}</text>'
    if mark.estimate is None or mark.low is None or mark.high is None:
        return text + f'<text class="none" x="{NAME_WIDTH + 4}" y="{y + 4:.1f}">{escape(mark.note)}</text>'
    kind = "flag" if mark.flagged else "ok"
    bar = f'<line class="{kind}" x1="{x(mark.low):.1f}" x2="{x(mark.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    cx = x(mark.estimate)
    if mark.flagged:
        dot = f'<path class="{kind}" d="M{cx:.1f} {y:.1f}m-6 0l6 -6l6 6l-6 6z"/>'
    else:
        dot = f'<circle class="{kind}" cx="{cx:.1f}" cy="{y:.1f}" r="4"/>'
    figure = f'<text class="figure" x="{WIDTH - RIGHT + 10}" y="{y + 4:.1f}">{number(mark.estimate)}</text>'
    return text + bar + dot + figure


def _words(mark: Mark) -> str:
    if mark.estimate is None:
        return f"{mark.name}: {mark.note}"
    flag = ", flagged" if mark.flagged else ""
    return f"{mark.name}: {number(mark.estimate)} ({interval(mark.low, mark.high)}){flag}"


def roc(title: str, curves: Sequence[tuple[str, Floats, Floats]]) -> str:
    """An SVG of up to five curves (name, false positive rates [n], true positive rates [n])."""
    size, left, top = 250, 46, 10
    body = [
        f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>',
        f'<line class="ref" x1="{left}" y1="{top + size}" x2="{left + size}" y2="{top}"/>',
        f'<text class="tick" x="{left + size / 2}" y="{top + size + 34}" text-anchor="middle">1 − specificity</text>',
        f'<text class="tick" transform="translate(12 {top + size / 2}) rotate(-90)" text-anchor="middle">'
        "sensitivity</text>",
    ]
    body += [
        f'<text class="tick" x="{left + tick * size}" y="{top + size + 16}" text-anchor="middle">{tick:g}</text>'
        f'<text class="tick" x="{left - 6}" y="{top + size - tick * size + 4}" text-anchor="end">{tick:g}</text>'
        for tick in (0, 0.5, 1)
    ]
    for k, (name, fpr, tpr) in enumerate(curves):
        colour, dash = LINES[k % len(LINES)]
        keep = np.unique(np.linspace(0, len(fpr) - 1, min(len(fpr), 200)).astype(int))
        points = " ".join(f"{left + f * size:.1f},{top + size - t * size:.1f}" for f, t in zip(fpr[keep], tpr[keep]))  # noqa: B905
        style = f'stroke="{colour}" stroke-dasharray="{dash}"'
        y = top + size + 56 + 18 * k
        body.append(f'<polyline class="curve" points="{points}" {style}/>')
        body.append(f'<line class="curve" x1="{left}" x2="{left + 34}" y1="{y}" y2="{y}" {style}/>')
        body.append(f'<text class="name" x="{left + 42}" y="{y + 4}">{escape(name)}</text>')
    height = top + size + 56 + 18 * len(curves)
    return _svg(left + size + 14, height, title, "Curves of " + "; ".join(name for name, _, _ in curves), "".join(body))


def _svg(width: float, height: float, title: str, words: str, body: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}. {escape(words)}" '
        f'style="max-width:{width:g}px"><title>{escape(title)}</title>{body}</svg>'
    )
