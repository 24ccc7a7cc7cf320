"""``raydino compare`` from the command line."""

import json
import subprocess
import sys

from raydino.artifacts.run import start_run
from raydino.cli import run


def a_run(path):
    start_run(path, config={"batch_size": 4, "head": {"n_prototypes": 8}}, seed=0, inputs={})
    (path / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0}) + "\n")
    return str(path)


def test_writes_a_picture_without_torch(tmp_path):
    runs = [a_run(tmp_path / "one"), a_run(tmp_path / "two")]
    out = tmp_path / "new" / "c.png"
    code = "import sys; from raydino.cli import run; code = run(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    arguments = [sys.executable, "-c", code, "compare", *runs, "--out", str(out)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    assert done.stdout.strip() == str(out)


def test_what_is_no_run_and_no_picture(tmp_path, capsys):
    assert run(["compare", str(tmp_path), "--out", str(tmp_path / "c.png")]) == 2
    assert "holds no artifact.json" in capsys.readouterr().err
    assert run(["compare", a_run(tmp_path / "r"), "--out", str(tmp_path / "c.jpg")]) == 2
    assert "only a PNG" in capsys.readouterr().err
