"""The demo: a chain of raydino's own commands, run one after another and remembered.

Nothing is called but the command line, as a person would. ``journal.json`` in the output folder holds
each command that is done with the state of what it wrote, so that a second run does only what is
missing.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import HEADER_NAME, write_json
from raydino.cli import run as run_command
from raydino.errors import UserError

SHORTER_SIDE = 128
_COMPANIONS = {
    "--labels": ("labels.csv",),
    "--masks": ("masks",),
    "--reports": ("reports.csv", "notes.csv"),
    "--key": ("synthetic.key",),
}


class Demo:
    """The output folder, its journal, and the tiny configs."""

    def __init__(self, out: Path, *, configs: Path | None, pretrain_overrides: Sequence[str]) -> None:
        self.out = out
        self.configs = configs or _project_configs()
        if not self.configs.is_dir():
            raise UserError("no such folder of configs", where=self.configs, remedy="pass --configs configs/tiny")
        self._overrides = [part for override in pretrain_overrides for part in ("--set", override)]
        self._journal_path = out / "journal.json"
        self._journal: dict[str, Any] = {}
        if self._journal_path.is_file():
            self._journal = json.loads(self._journal_path.read_text(encoding="utf-8"))
        self._console = Console()

    def step(self, *words: str | Path, writes: Path, reads: Sequence[Path] = ()) -> None:
        """Run ``raydino words…`` unless it is done; ``reads`` are the files whose change makes it undone."""
        words_str = [str(word) for word in words]
        line = shlex.join(["raydino", *words_str])
        done = self._journal.get(line)
        state = {"reads": [_state(path) for path in reads], "writes": _state(writes)}
        if done == state and state["writes"]:
            self._console.print(f"[dim]$ {line}   (done before)[/dim]", highlight=False, soft_wrap=True)
            return
        self._console.print(f"\n[bold]$ {line}[/bold]", highlight=False, soft_wrap=True)
        started = time.perf_counter()
        interrupted = done is None and words[0] == "pretrain" and (writes / "checkpoints").is_dir()
        extra = ["--resume"] if interrupted else ["--overwrite"] if writes.exists() else []
        code = run_command([*words_str, *extra])
        if code:
            raise SystemExit(code)
        self._journal[line] = {"reads": state["reads"], "writes": _state(writes)}
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(self._journal_path, self._journal)
        self._console.print(f"[dim]{time.perf_counter() - started:.0f} s[/dim]", highlight=False)

    def run(self, archive: Path) -> None:
        """The chain from an archive to the audit and the summary."""
        started = time.perf_counter()
        out, dataset = self.out, self.out / "dataset"
        self._ingest(archive, dataset)
        opened = Dataset.open(dataset)
        self._pretrain(dataset, out / "run", self._overrides)
        encoder = out / "encoder"
        self.step("export", out / "run", "--to", "hf", "--out", encoder, writes=encoder, reads=[out / "run/encoder"])
        features = self._embed(dataset, encoder, out / "features")
        tasks = [
            Task("findings", "classification.yaml", bool(opened.label_names), "labels"),
            Task("lungs", "segmentation_conv.yaml", bool(opened.structures), "masks"),
            Task("report", "report.yaml", len(opened.reports) > 0, "reports"),
        ]
        for task in tasks:
            if task.possible:
                self._adapt(task, dataset, encoder, features)
            else:
                self._console.print(f"[yellow]the archive brings no {task.needs}: {task.name} is left out[/yellow]")
        report = self._audit(dataset) if tasks[0].possible else None
        self._baselines(tasks, dataset, encoder, features)
        self._summarise(report, time.perf_counter() - started)

    def _ingest(self, archive: Path, dataset: Path) -> None:
        companions: list[str | Path] = []
        for option, path in find_companions(archive).items():
            companions += [option, path]
        words = ("--shorter-side", str(SHORTER_SIDE), "--retain-institution")
        self.step("ingest", archive, "--out", dataset, *companions, *words, writes=dataset)

    def _pretrain(self, dataset: Path, run: Path, overrides: Sequence[str]) -> None:
        config = self.configs / "pretrain.yaml"
        self.step("pretrain", config, "--data", dataset, "--out", run, *overrides, writes=run, reads=[config, dataset])

    def _embed(self, dataset: Path, encoder: Path, features: Path) -> Path:
        words = ("embed", dataset, "--encoder", encoder, "--out", features)
        self.step(*words, writes=features, reads=[dataset, encoder])
        return features

    def _adapt(self, task: Task, dataset: Path, encoder: Path, features: Path, *overrides: str) -> None:
        adapter, predictions = self.out / f"adapter-{task.name}", self.out / f"predictions-{task.name}"
        config = self.configs / task.config
        shared: tuple[str | Path, ...] = ("--encoder", encoder, "--data", dataset, "--features", features)
        fit = ("adapt", "fit", config, *shared, "--out", adapter, *overrides)
        self.step(*fit, writes=adapter, reads=[config, features])
        predict = ("adapt", "predict", adapter, *shared, "--split", "test", "--out", predictions)
        self.step(*predict, writes=predictions, reads=[adapter, features])

    def _audit(self, dataset: Path) -> Path:
        predictions, audit = self.out / "predictions-findings", self.out / "audit"
        words = ("audit", predictions, "--out", audit, "--demographics", dataset, "--by", "sex,age,site")
        self.step(*words, writes=audit, reads=[predictions, dataset])
        return audit / "report.html"

    def _baselines(self, tasks: list[Task], dataset: Path, encoder: Path, features: Path) -> None:
        """What the results must beat: a random network, and a decoder that never sees the film."""
        findings, _, report = tasks
        if findings.possible:
            self._pretrain(dataset, self.out / "run-random", [*self._overrides, "--set", "recipe.steps=0"])
            random = self.out / "run-random"
            random_features = self._embed(dataset, random, self.out / "features-random")
            self._adapt(findings.renamed("findings-random"), dataset, random, random_features)
        if report.possible:
            self._adapt(report.renamed("report-blind"), dataset, encoder, features, "--set", "recipe.blind=true")

    def _summarise(self, report: Path | None, seconds: float) -> None:
        table = Table(title="what it found, on the test split", title_justify="left")
        for column in ("measure", "here", "baseline", "the baseline is"):
            table.add_column(column)
        rows = (
            ("findings, macro AUROC", "findings", "auroc", "findings-random", "the same network, random weights"),
            ("lungs and heart, mean Dice", "lungs", "dice", None, ""),
            ("report, balanced accuracy of findings", "report", "balanced_accuracy", "report-blind", "a blind decoder"),
        )
        for measure, here, key, baseline, meaning in rows:
            value = self._overall(here, key)
            if value is not None:
                other = self._overall(baseline, key) if baseline else None
                table.add_row(measure, f"{value:.3f}", "" if other is None else f"{other:.3f}", meaning)
        self._console.print()
        self._console.print(table)
        self._console.print("[dim]Research use only, never a diagnosis.[/dim]")
        if report is not None:
            self._console.print(f"the audit, for a person to read: {report.resolve()}", highlight=False, soft_wrap=True)
        self._console.print(f"{seconds / 60:.1f} minutes in all", highlight=False)

    def _overall(self, task: str, key: str) -> float | None:
        path = self.out / f"predictions-{task}" / "metrics.json"
        if not path.is_file():
            return None
        value = json.loads(path.read_text(encoding="utf-8"))["overall"].get(key)
        return None if value is None else float(value)


@dataclass(frozen=True)
class Task:
    """One adapter of the demo."""

    name: str
    config: str
    possible: bool
    needs: str

    def renamed(self, name: str) -> Task:
        """The same task under another name, for a baseline."""
        return Task(name, self.config, self.possible, self.needs)


def synthetic_archive(chain: Demo, *, patients: int, seed: int) -> Path:
    """Write the embedded archive into the demo's folder; returns its tree of DICOM files."""
    target = chain.out / "synthetic"
    chain.step("synth", target, "--patients", str(patients), "--seed", str(seed), writes=target)
    return target / "archive"


def find_companions(archive: Path) -> dict[str, Path]:
    """Labels, masks, reports and key in the archive's folder or beside it, by ingest's option."""
    if not archive.is_dir():
        raise UserError("no such directory", where=archive, remedy="pass the top folder of a DICOM archive")
    found = {}
    for option, names in _COMPANIONS.items():
        candidates = [folder / name for folder in (archive, archive.parent) for name in names]
        existing = [path for path in candidates if path.exists()]
        if existing:
            found[option] = existing[0]
    return found


def _project_configs() -> Path:
    return Path(__file__).resolve().parent.parent / "configs" / "tiny"


def _state(path: Path) -> str:
    """A word that changes when an artifact or a file changes; empty when it is not there."""
    if path.is_dir():
        header = path / HEADER_NAME
        if not header.is_file():
            return ""
        steps = sorted(p.name for p in path.glob("checkpoints/*.pt"))
        return hashlib.sha256(header.read_bytes() + repr(steps).encode()).hexdigest()[:16]
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    return ""
