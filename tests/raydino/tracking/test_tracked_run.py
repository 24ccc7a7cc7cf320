"""What is remembered of a run by trackers of the outside."""

from raydino.tracking.tracked_run import TrackedRun, finite, flat_config


def test_no_step_is_told_twice(tmp_path):
    memory = TrackedRun(tmp_path, "there")
    memory.begin("abc")
    assert [memory.is_new(step) for step in (10, 20, 20, 10, 30)] == [True, True, False, False, True]
    again = TrackedRun(tmp_path, "there")
    assert (again.run_id, again.last_step) == ("abc", 30)
    assert TrackedRun(tmp_path, "elsewhere").run_id is None


def test_the_config_is_flat_and_metrics_are_numbers(tmp_path):
    assert flat_config(tmp_path) == {}
    (tmp_path / "resolved.yaml").write_text("recipe:\n  steps: 5\n  vit: {depth: 2, scale: [0.1, 1.0]}\n")
    assert flat_config(tmp_path) == {"recipe.steps": 5, "recipe.vit.depth": 2, "recipe.vit.scale": [0.1, 1.0]}
    assert finite({"a": 1, "b": float("nan"), "c": float("inf")}) == {"a": 1.0}
