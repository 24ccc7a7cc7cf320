"""Collapse is said once, while the run goes, and again after it had gone."""

import json

from raydino.train.alarm import Alarm

RECIPE = {"steps": 600, "head": {"n_prototypes": 1024}, "optimizer": {"warmup_steps": 60}}


def feed(alarm, first, last, entropy, rank=20.0):
    for step in range(first, last, 20):
        alarm.log(
            step, {"loss": 1.0, "teacher_entropy": entropy, **({"feature_rank": rank} if step % 100 == 0 else {})}
        )


def test_told_once_until_it_is_gone(tmp_path, capsys):
    alarm = Alarm(tmp_path, RECIPE)
    feed(alarm, 20, 401, 6.93)
    told = capsys.readouterr().err
    assert told.count("warning: the teacher's targets have been uniform since step 80") == 1
    feed(alarm, 420, 501, 6.0)
    assert "warning" not in capsys.readouterr().err
    feed(alarm, 520, 801, 6.93)
    assert capsys.readouterr().err.count("uniform since step 520") == 1


def test_a_resumed_run_remembers(tmp_path, capsys):
    rows = [{"step": step, "teacher_entropy": 6.93} for step in range(20, 300, 20)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Alarm(tmp_path, RECIPE).log(300, {"teacher_entropy": 6.93, "feature_rank": 1.1})
    told = capsys.readouterr().err
    assert "uniform since step 80" in told
    assert "along one direction at step 300" in told
