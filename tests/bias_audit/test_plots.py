"""Plots are well-formed SVG that says in words what it shows."""

from xml.etree import ElementTree

import numpy as np

from bias_audit.plots import Curve, Mark, forest, scale, square

MARKS = [
    Mark("Everyone", 0.8, 0.75, 0.85, "n = 100"),
    Mark("Sex", None, None, None, "", heading=True),
    Mark("F & co", 0.5, 0.3, 0.7, "n = 20", flagged=True),
    Mark("UNKNOWN", None, None, None, "too few: 3 patients"),
]


def test_forest_plot_is_well_formed_and_described() -> None:
    svg = ElementTree.fromstring(forest("Sensitivity, Nodule", MARKS, 0.8))
    label = svg.attrib["aria-label"]
    assert "Everyone: 0.80 (0.75 to 0.85), n = 100" in label
    assert "F & co: 0.50 (0.30 to 0.70), n = 20, flagged" in label
    assert "UNKNOWN: too few: 3 patients" in label
    assert len(svg.findall(".//circle")) == 1
    assert len(svg.findall(".//path[@class='flag']")) == 1


def test_marks_lie_in_order_and_inside_the_drawing() -> None:
    svg = ElementTree.fromstring(forest("t", MARKS, 0.8))
    width = float(svg.attrib["viewBox"].split()[2])
    lines = [line for line in svg.findall(".//line") if line.attrib["class"] in ("ok", "flag")]
    ends = [(float(line.attrib["x1"]), float(line.attrib["x2"])) for line in lines]
    assert all(0 < low < high < width for low, high in ends)
    assert ends[1][0] < ends[0][0]


def test_a_forest_without_any_figure_still_draws() -> None:
    ElementTree.fromstring(forest("t", [Mark("F", None, None, None, "too few")], None))


def test_a_curve_runs_from_corner_to_corner() -> None:
    rate = np.array([0.0, 0.2, 1.0])
    svg = ElementTree.fromstring(square("ROC", ("1 − specificity", "sensitivity"), [Curve("F", rate, rate**0.5)]))
    points = svg.find(".//polyline").attrib["points"].split()  # type: ignore[union-attr]
    assert points[0] == "46.0,258.0"
    assert points[-1] == "296.0,8.0"


def test_ticks_are_round_and_hold_every_value() -> None:
    for values, limits in (([0.31, 0.98], (0, 1)), ([3.0, 14.2], (0, np.inf)), ([-0.7, 0.2], (-np.inf, np.inf))):
        ticks = scale(values, limits)
        assert 3 <= len(ticks) <= 8
        assert ticks[0] <= min(values)
        assert ticks[-1] >= max(values)
        assert limits[0] <= ticks[0]
        assert ticks[-1] <= limits[1]
    assert scale([], (0, 1))[0] == 0.0
    assert scale([1.0, 1.0], (0, 1))[-1] == 1.0
    assert len(scale([1.0], (0, 1))) > 1


def test_marks_beyond_one_are_drawn_where_they_belong() -> None:
    svg = ElementTree.fromstring(
        forest("HD95", [Mark("F", 14.0, 12.0, 16.0, ""), Mark("M", 8.0, 7.0, 9.0, "")], 10.0, (0.0, np.inf))
    )
    first, second = (float(circle.attrib["cx"]) for circle in svg.findall(".//circle"))
    assert second < first < 430
