from __future__ import annotations

from pathlib import Path

from raydino.artifacts.header import read_header
from raydino.artifacts.run import RUN, start_run


def test_a_run_is_known_by_what_defines_it_and_not_by_what_grows_in_it(tmp_path: Path) -> None:
    first = start_run(tmp_path / "a", config={"lr": 1e-3}, seed=1, inputs={"dataset": "feed"})
    (tmp_path / "a" / "metrics.jsonl").write_text("{}\n")
    again = start_run(tmp_path / "b", config={"lr": 1e-3}, seed=1, inputs={"dataset": "feed"})
    other = start_run(tmp_path / "c", config={"lr": 1e-3}, seed=1, inputs={"dataset": "beef"})
    assert read_header(tmp_path / "a", RUN) == first == again
    assert other.fingerprint != first.fingerprint
