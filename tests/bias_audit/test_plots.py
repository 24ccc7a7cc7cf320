"""Plots are well-formed SVG that says in words what it shows."""

from xml.etree import ElementTree

import numpy as np

from bias_audit.plots import Mark, forest, roc

MARKS = [
    Mark("Everyone", 0.8, 0.75, 0.85, "n = 100"),
    Mark("Sex", None, None, None, "", heading=True),
    Mark("F & co", 0.5, 0.3, 0.7, "n = 20", flagged=True),
    Mark("UNKNOWN", None, None, None, "too few: 3 patients"),
]


def test_forest_plot_is_well_formed_and_described() -> None:
    svg = ElementTree.fromstring(forest("Sensitivity, Nodule", MARKS, 0.8))
    label = svg.attrib["aria-label"]
    assert "Everyone: 0.80 (0.75 to 0.85)" in label
    assert "F & co: 0.50 (0.30 to 0.70), flagged" in label
    assert "UNKNOWN: too few: 3 patients" in label
    assert len(svg.findall("circle")) == 1
    assert len(svg.findall("path[@class='flag']")) == 1


def test_marks_lie_in_order_and_inside_the_drawing() -> None:
    svg = ElementTree.fromstring(forest("t", MARKS, 0.8))
    width = float(svg.attrib["viewBox"].split()[2])
    lines = [line for line in svg.findall("line") if line.attrib["class"] in ("ok", "flag")]
    ends = [(float(line.attrib["x1"]), float(line.attrib["x2"])) for line in lines]
    assert all(0 < low < high < width for low, high in ends)
    assert ends[1][0] < ends[0][0]


def test_a_forest_without_any_figure_still_draws() -> None:
    ElementTree.fromstring(forest("t", [Mark("F", None, None, None, "too few")], None))


def test_roc_curve_runs_from_corner_to_corner() -> None:
    rate = np.array([0.0, 0.2, 1.0])
    svg = ElementTree.fromstring(roc("ROC", [("F", rate, rate**0.5)]))
    points = svg.find("polyline").attrib["points"].split()  # type: ignore[union-attr]
    assert points[0] == "46.0,260.0"
    assert points[-1] == "296.0,10.0"
