"""Curves: what is read of a run, which panels are drawn, several runs over each other."""

import json
import math

import cv2
import numpy as np
import pytest

from raydino.artifacts.run import start_run
from raydino.errors import UserError
from raydino.train import curves
from raydino.train.curves import CurvesTracker, Lines, plot_run, plot_runs, run_rows

RECIPE = {"steps": 600, "batch_size": 32, "head": {"n_prototypes": 1024}}


def a_run(path, rows):
    start_run(path, config=RECIPE, seed=0, inputs={})
    (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rows_of(n, **more):
    rows = [{"step": s, "loss": 10 - s / n, "teacher_entropy": 6.0, "seconds_per_step": 0.5} for s in range(1, n + 1)]
    return [{**row, "grad_norm/backbone": 10.0 ** (row["step"] % 4), **more} for row in rows]


@pytest.fixture
def drawn(monkeypatch):
    """What reaches the axes, while the real figure is drawn too."""
    seen: list[Lines] = []
    inner = curves._draw_lines
    monkeypatch.setattr(curves, "_draw_lines", lambda axis, lines: (seen.append(lines), inner(axis, lines)))
    return seen


def test_rows_gain_images_a_second(tmp_path):
    rows, recipe = run_rows(a_run(tmp_path / "r", rows_of(3)))
    assert [row["images_per_second"] for row in rows] == [64.0] * 3
    assert recipe == RECIPE
    with pytest.raises(UserError, match="no metrics yet"):
        run_rows(a_run(tmp_path / "empty", []))


def test_only_panels_with_values_are_drawn(tmp_path, drawn):
    rows = rows_of(5, knn_auroc=None)
    rows[2]["knn_auroc"] = 0.6
    run = a_run(tmp_path / "r", rows)
    plot_run(run, tmp_path / "c.png")
    by_title = {lines.panel.title: lines for lines in drawn}
    assert list(by_title) == [
        *("losses", "entropy of the teacher's targets", "probes on validation", "gradient norms before clipping"),
        "speed",
    ]
    assert by_title["probes on validation"].points == {"knn_auroc": [(3, 0.6)]}
    assert set(by_title["gradient norms before clipping"].points) == {"grad_norm/backbone"}
    assert by_title["entropy of the teacher's targets"].level == ("uniform: ln K", math.log(1024))
    assert cv2.imread(str(tmp_path / "c.png")).shape[1] > 800
    assert not list(tmp_path.glob(".*partial"))


def test_runs_over_each_other(tmp_path, drawn):
    one, other = a_run(tmp_path / "one", rows_of(4)), a_run(tmp_path / "other", rows_of(900))
    plot_runs([one, other], tmp_path / "c.png")
    assert [lines.panel.title for lines in drawn] == ["loss", "entropy of the teacher's targets"]
    assert list(drawn[0].points) == ["one", "other"]
    assert len(drawn[0].points["other"]) == 900
    drawn.clear()
    plot_runs([one, a_run(tmp_path / "x" / "one", rows_of(2))], tmp_path / "c.png")
    assert len(drawn[0].points) == 2  # equal names do not hide a run


def test_long_lines_are_averaged_in_even_stretches():
    steps, values = curves._thinned([(s, float(s % 2)) for s in range(6000)])
    assert len(steps) == curves.AT_MOST_POINTS
    assert steps[0] == pytest.approx(9.5)
    assert np.allclose(values, 0.5)


def test_the_tracker_draws_at_probes_and_once_at_the_end(tmp_path, monkeypatch):
    run, calls = a_run(tmp_path / "r", rows_of(4)), []
    monkeypatch.setattr(curves, "plot_run", lambda directory, target: calls.append(target.name))
    tracker = CurvesTracker(run)
    tracker.log(1, {"loss": 1.0})
    assert calls == []
    tracker.log(2, {"loss": 1.0, "feature_rank": 3.0})
    tracker.close()
    assert calls == ["curves.png"]
    tracker.log(3, {"loss": 1.0})
    tracker.close()
    assert len(calls) == 2
