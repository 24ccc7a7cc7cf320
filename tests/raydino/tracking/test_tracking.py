"""Metrics on disk: every step once, also after a resume and a cut-off line."""

from raydino.tracking import JsonlTracker, read_metrics


def test_a_resume_drops_what_comes_after_its_checkpoint(tmp_path):
    tracker = JsonlTracker(tmp_path)
    for step in (1, 2, 3):
        tracker.log(step, {"loss": step / 2, "bad": float("nan")})
    tracker.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')  # killed while writing
    again = JsonlTracker(tmp_path, resume_step=2)
    again.log(3, {"loss": 9.0})
    again.close()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 0.5), (2, 1.0), (3, 9.0)]
    assert rows[0]["bad"] is None
