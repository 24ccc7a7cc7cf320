"""mlflow and wandb against fakes that check the public calls: arguments, steps once, a resume in the same run."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace

import cv2
import numpy as np
import pytest

from raydino.errors import UserError
from raydino.tracking import TRACKERS, PictureTracker, show_picture

FILES = {"mlflow": "raydino.tracking.mlflow_tracker", "wandb": "raydino.tracking.wandb_tracker"}


class FakeMlflow(ModuleType):
    """The fluent functions of mlflow that are used, with their real parameters."""

    def __init__(self):
        super().__init__("mlflow")
        self.uri = self.experiment = self.active = None
        self.runs: dict[str, dict] = {}

    def set_tracking_uri(self, uri):
        self.uri = uri

    def set_experiment(self, experiment_name=None):
        self.experiment = experiment_name

    def start_run(self, run_id=None, experiment_id=None, run_name=None):
        assert self.active is None, "mlflow refuses a second active run"
        if run_id is None:
            run_id = f"run{len(self.runs)}"
            self.runs[run_id] = {"name": run_name, "params": {}, "metrics": [], "artifacts": []}
        self.active = run_id
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def log_params(self, params):
        assert not self.runs[self.active]["params"], "mlflow refuses to change a parameter"
        self.runs[self.active]["params"] = dict(params)

    def log_metrics(self, metrics, step=None):
        assert all(isinstance(v, float) for v in metrics.values())
        self.runs[self.active]["metrics"] += [(step, name, value) for name, value in metrics.items()]

    def log_artifact(self, local_path, artifact_path=None):
        self.runs[self.active]["artifacts"].append((local_path, artifact_path))

    def end_run(self):
        self.active = None


class FakeWandb(ModuleType):
    """``init``, ``Image`` and a run with ``log`` and ``finish``; a smaller step than the last is refused."""

    def __init__(self):
        super().__init__("wandb")
        self.inits: list[dict] = []
        self.rows: dict[int, dict] = {}
        self.open = False

    def init(self, *, project, name, id, resume, dir, mode, config):
        assert not self.open
        self.open = True
        self.inits.append({"project": project, "name": name, "id": id, "resume": resume, "mode": mode, "dir": dir})
        self.config = config
        return self

    def log(self, data, step=None):
        assert step is not None
        assert step >= max(self.rows, default=0), "wandb drops earlier steps"
        assert not set(data) & set(self.rows.get(step, {})), "a step told twice"
        self.rows.setdefault(step, {}).update(data)

    def Image(self, path):
        return ("image", path)

    def finish(self):
        self.open = False


@pytest.fixture
def outside(monkeypatch):
    """The fakes in place of the packages, and a clean environment."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_MODE", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    fakes = {"mlflow": FakeMlflow(), "wandb": FakeWandb()}
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, name, fake)
        monkeypatch.delitem(sys.modules, FILES[name], raising=False)
    yield fakes
    for name in fakes:
        sys.modules.pop(FILES[name], None)


def a_run(tmp_path):
    directory = tmp_path / "run"
    directory.mkdir()
    (directory / "resolved.yaml").write_text("recipe: {steps: 40, seed: 1}\n")
    cv2.imwrite(str(directory / "crops.png"), np.zeros((4, 4, 3), np.uint8))
    return directory


def killed_and_resumed(name, directory):
    """Ten steps a row: up to 30, killed without a close, on from the checkpoint of step 20, up to 40."""
    kind = TRACKERS.get(name)
    first = kind(directory)
    assert isinstance(first, PictureTracker)
    for step in (10, 20, 30):
        if step == 20:
            show_picture([first], step, directory / "crops.png")
        first.log(step, {"loss": step / 10, "bad": float("nan")})
    return kind, lambda: kind(directory, resume_step=20)


def test_mlflow(outside, tmp_path):
    fake, directory = outside["mlflow"], a_run(tmp_path)
    _, resume = killed_and_resumed("mlflow", directory)
    fake.active = None  # the process is gone
    second = resume()
    show_picture([second], 30, directory / "crops.png")
    for step in (30, 40):
        second.log(step, {"loss": step / 10})
    second.close()
    assert list(fake.runs) == ["run0"]
    run = fake.runs["run0"]
    assert run["metrics"] == [(10, "loss", 1.0), (20, "loss", 2.0), (30, "loss", 3.0), (40, "loss", 4.0)]
    assert run["params"] == {"recipe.steps": 40, "recipe.seed": 1}
    assert run["name"] == "run"
    assert [place for _, place in run["artifacts"]] == ["pictures/step-00000020", "pictures/step-00000030"]
    assert fake.uri == (directory / "mlruns").as_uri()
    assert fake.experiment == "raydino"
    assert fake.active is None


def test_wandb(outside, tmp_path):
    fake, directory = outside["wandb"], a_run(tmp_path)
    _, resume = killed_and_resumed("wandb", directory)
    fake.open = False
    second = resume()
    show_picture([second], 30, directory / "crops.png")  # told before: not again
    for step in (30, 40):
        second.log(step, {"loss": step / 10})
    second.close()
    assert {step: row["loss"] for step, row in fake.rows.items()} == {10: 1.0, 20: 2.0, 30: 3.0, 40: 4.0}
    assert [step for step, row in fake.rows.items() if "pictures/crops" in row] == [20]
    one, other = fake.inits
    assert one == other
    assert one["mode"] == "offline"
    assert one["resume"] == "allow"
    assert one["dir"] == str(directory)
    assert fake.config == {"recipe.steps": 40, "recipe.seed": 1}
    assert not fake.open


def test_the_environment_overrides(outside, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://there:5000")
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "films")
    directory = a_run(tmp_path)
    TRACKERS.get("mlflow")(directory).close()
    TRACKERS.get("wandb")(directory).close()
    assert outside["mlflow"].uri == "http://there:5000"
    assert (outside["wandb"].inits[0]["mode"], outside["wandb"].inits[0]["project"]) == ("online", "films")


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_absent_it_says_what_to_install(name, monkeypatch):
    if importlib.util.find_spec(name):
        pytest.skip(f"{name} is installed here")
    monkeypatch.delitem(sys.modules, FILES[name], raising=False)
    with pytest.raises(UserError, match=f"pip install {name}"):
        TRACKERS.get(name)
