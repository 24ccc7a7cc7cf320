"""Forest plots and square plots of curves as inline SVG: no script, no image file, a text alternative on each.

Colours are Okabe and Ito's, told apart by colour-blind readers; shape and words say the same again
(a diamond and "flagged", a hollow mark and "too few"). Sizes are in SVG user units, ≈ CSS pixels. Every mark has a
title, which browsers show on hover. Neighbour: ``figures`` says what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bias_audit.rows import Floats
from bias_audit.wording import interval, number

WIDTH, NAME_WIDTH, ROW, TOP, BOTTOM, RIGHT = 430, 150, 20, 8, 34, 46
BLUE, ORANGE, GREY, INK = "#0072B2", "#D55E00", "#767676", "#1f2933"
LINES = ((BLUE, ""), (ORANGE, "7 3"), ("#009E73", "2 3"), ("#AA4499", "9 3 2 3"), (INK, "1 2"))
SIDE, LEFT = 250, 46  # of a square plot
MOST_POINTS = 80  # of a curve; more cannot be seen

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
    hollow: bool = False  # an open circle: not the figure itself but what it is set beside


@dataclass(frozen=True)
class Curve:
    """One line of a square plot: x and y [n], 0..1."""

    name: str
    x: Floats
    y: Floats


def scale(values: Sequence[float], limits: tuple[float, float]) -> list[float]:
    """Round ticks from below the smallest to above the largest of ``values``, three to seven, within ``limits``."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    width = max(high - low, 0.2 if limits[1] <= 1 else 1.0)
    low = max(limits[0], min(low, (low + high - width) / 2, limits[1] - width))
    power = 10.0 ** math.floor(math.log10(width / 5))
    step = next(m * power for m in (1, 2, 5, 10) if width / (m * power) <= 5 + 1e-9)
    first, last = math.floor(low / step + 1e-9), math.ceil((low + width) / step - 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def forest(title: str, marks: Sequence[Mark], overall: float | None, limits: tuple[float, float] = (0.0, 1.0)) -> str:
    """An SVG with one row a mark: estimate, interval, and a dashed line at ``overall``."""
    ends = [x for m in marks if m.estimate is not None for x in (m.low, m.high, m.estimate) if x is not None]
    ticks = scale([*ends, *([overall] if overall is not None else [])], limits)
    lower, upper = ticks[0], ticks[-1]
    right = WIDTH - RIGHT

    def x(value: float) -> float:
        share = min(max((value - lower) / (upper - lower), 0.0), 1.0)
        return NAME_WIDTH + share * (right - NAME_WIDTH)

    height = TOP + ROW * len(marks) + BOTTOM
    floor = TOP + ROW * len(marks)
    body = [_axis_line(x, ticks, floor)]
    if overall is not None:
        body.append(f'<line class="ref" x1="{x(overall):.1f}" x2="{x(overall):.1f}" y1="{TOP}" y2="{floor}"/>')
    body += [_row(mark, TOP + ROW * (k + 0.5), x) for k, mark in enumerate(marks)]
    words = "; ".join(_words(mark) for mark in marks if not mark.heading)
    return _svg(WIDTH, height, title, words, "".join(body))


def _axis_line(x: Place, ticks: Sequence[float], floor: float) -> str:
    lines = [f'<line class="axis" x1="{x(ticks[0]):.1f}" x2="{x(ticks[-1]):.1f}" y1="{floor}" y2="{floor}"/>']
    digits = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
    for tick in ticks:
        lines.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{floor + 4}"/>')
        text = number(tick, digits)
        lines.append(f'<text class="tick" x="{x(tick):.1f}" y="{floor + 18}" text-anchor="middle">{text}</text>')
    return "".join(lines)


def _row(mark: Mark, y: float, x: Place) -> str:
    if mark.heading:
        return f'<text class="head" x="0" y="{y + 5:.1f}">{escape(_short(mark.name, 52))}</text>'
    text = f'<text class="name" x="8" y="{y + 4:.1f}">{escape(_short(mark.name, 22))}</text>'
    if mark.estimate is None or mark.low is None or mark.high is None:
        note = f'<text class="none" x="{NAME_WIDTH + 4}" y="{y + 4:.1f}">{escape(_short(mark.note, 44))}</text>'
        return f"<g><title>{escape(_words(mark))}</title>{text}{note}</g>"
    kind = "flag" if mark.flagged else "hollow" if mark.hollow else "ok"
    area = f'<rect class="hit" x="0" y="{y - ROW / 2:.1f}" width="{WIDTH}" height="{ROW}"/>'
    bar = f'<line class="{kind}" x1="{x(mark.low):.1f}" x2="{x(mark.high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    cx = x(mark.estimate)
    if mark.flagged:
        dot = f'<path class="{kind}" d="M{cx:.1f} {y:.1f}m-6 0l6 -6l6 6l-6 6z"/>'
    else:
        dot = f'<circle class="{kind}" cx="{cx:.1f}" cy="{y:.1f}" r="4"/>'
    figure = f'<text class="figure" x="{WIDTH - RIGHT + 10}" y="{y + 4:.1f}">{number(mark.estimate)}</text>'
    return f"<g><title>{escape(_words(mark))}</title>{area}{text}{bar}{dot}{figure}</g>"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _words(mark: Mark) -> str:
    if mark.estimate is None:
        return f"{mark.name}: {mark.note}"
    flag = ", flagged" if mark.flagged else ""
    note = f", {mark.note}" if mark.note else ""
    return f"{mark.name}: {number(mark.estimate)} ({interval(mark.low, mark.high)}){note}{flag}"


def square(title: str, axes: tuple[str, str], curves: Sequence[Curve], *, dots: bool = False) -> str:
    """An SVG of up to five curves between 0 and 1; ``axes`` name x and y, ``dots`` mark the points."""
    floor = TOP + SIDE
    body = [
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}"/>',
        f'<line class="ref" x1="{LEFT}" y1="{floor}" x2="{LEFT + SIDE}" y2="{TOP}"/>',
        f'<text class="tick" x="{LEFT + SIDE / 2}" y="{floor + 34}" text-anchor="middle">{escape(axes[0])}</text>',
        f'<text class="tick" transform="translate(12 {TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(axes[1])}</text>",
    ]
    body += [
        f'<text class="tick" x="{LEFT + tick * SIDE}" y="{floor + 16}" text-anchor="middle">{tick:g}</text>'
        f'<text class="tick" x="{LEFT - 6}" y="{floor - tick * SIDE + 4}" text-anchor="end">{tick:g}</text>'
        for tick in (0, 0.5, 1)
    ]
    for k, curve in enumerate(curves):
        body.append(_curve(curve, *LINES[k % len(LINES)], floor + 56 + 18 * k, dots=dots))
    words = "Curves of " + "; ".join(curve.name for curve in curves)
    return _svg(LEFT + SIDE + 14, floor + 56 + 18 * len(curves), title, words, "".join(body))


def _curve(curve: Curve, colour: str, dash: str, key: float, *, dots: bool) -> str:
    """The line, its points, and its entry in the key at the height ``key``."""
    keep = np.unique(np.linspace(0, len(curve.x) - 1, min(len(curve.x), MOST_POINTS)).astype(int))
    at = [(LEFT + x * SIDE, TOP + SIDE - y * SIDE) for x, y in zip(curve.x[keep], curve.y[keep], strict=True)]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    style = f'stroke="{colour}" stroke-dasharray="{dash}"'
    marks = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in at) if dots else ""
    return (
        f'<g><title>{escape(curve.name)}</title><polyline class="curve" points="{points}" {style}/>{marks}'
        f'<line class="curve" x1="{LEFT}" x2="{LEFT + 34}" y1="{key}" y2="{key}" {style}/>'
        f'<text class="name" x="{LEFT + 42}" y="{key + 4}">{escape(_short(curve.name, 36))}</text></g>'
    )


def _svg(width: float, height: float, title: str, words: str, body: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}. {escape(words)}" '
        f'style="max-width:{width:g}px">{body}</svg>'
    )


def scatter(title: str, groups: Sequence[tuple[str, Floats]]) -> str:
    """An SVG of points [n, 2] by group, five groups at most; shape tells groups apart where colour does not."""
    every = np.concatenate([points for _, points in groups]) if groups else np.zeros((0, 2))
    low = every.min(axis=0) if len(every) else np.zeros(2)
    width = np.maximum((every.max(axis=0) if len(every) else np.ones(2)) - low, 1e-9)
    floor = TOP + SIDE
    body = [
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}"/>',
        f'<text class="tick" x="{LEFT + SIDE / 2}" y="{floor + 20}" text-anchor="middle">component 1</text>',
        f'<text class="tick" transform="translate(30 {TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">'
        "component 2</text>",
    ]
    for k, (name, points) in enumerate(groups):
        colour = LINES[k % len(LINES)][0]
        at = (points - low) / width
        dots = "".join(_shape(k, LEFT + 6 + x * (SIDE - 12), floor - 6 - y * (SIDE - 12)) for x, y in at)
        key = floor + 42 + 18 * k
        body.append(
            f'<g fill="{colour}" fill-opacity="0.6">{dots}</g><g fill="{colour}">{_shape(k, LEFT + 8, key)}</g>'
            f'<text class="name" x="{LEFT + 22}" y="{key + 4}">{escape(_short(name, 34))}</text>'
        )
    words = "Groups: " + ", ".join(f"{name} ({len(points)} films)" for name, points in groups)
    return _svg(LEFT + SIDE + 14, floor + 42 + 18 * len(groups), title, words, "".join(body))


def _shape(k: int, x: float, y: float) -> str:
    """Circle, square, triangle, diamond, bar: one a group."""
    corners = {1: "m-2.6 -2.6h5.2v5.2h-5.2z", 2: "m0 -3.4l3.2 5.6h-6.4z", 3: "m0 -3.8l3.8 3.8l-3.8 3.8l-3.8 -3.8z"}
    if k % len(LINES) == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>'
    return f'<path d="M{x:.1f} {y:.1f}{corners.get(k % len(LINES), "m-3.4 -1.2h6.8v2.4h-6.8z")}"/>'
