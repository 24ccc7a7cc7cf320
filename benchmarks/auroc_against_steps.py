"""What does pretraining buy, and after how many steps? Frozen probes against the pixels, a random network and a CNN.

For each config (a policy each, say), share of the training patients, number of steps and seed, one whole run with a
schedule of its own length: checkpoints along a single run would be judged at a high learning rate and a moving
teacher, which flatters long runs. All ``*_steps`` of the recipe scale with the number of steps. Probes: logistic
regression on [CLS, mean patch] and on patch tokens averaged over 3 x 3 and 6 x 6 grids (``frozen_probe.py`` tells the
tasks). Baselines: pixels at 24 px, PCA-128 of pixels, the network at random initialisation, a small CNN trained end to
end on the same labels (``small_cnn.py``). Intervals resample patients; the spread over seeds stands beside them.

    python benchmarks/auroc_against_steps.py dataset --steps 600 2400 9600 --seeds 3 --work /tmp/steps
    python benchmarks/auroc_against_steps.py dataset --config a.yaml b.yaml --shares 1 0.25 --work /tmp/policies
    python benchmarks/auroc_against_steps.py dataset --quick --work /tmp/quick      one seed, 20 and 40 steps

Finished work stays in --work and is not done again, so it can be stopped, and continued with more seeds or steps.
Writes ``result.json``, ``auroc_against_steps.png`` and ``table.md`` there; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from frozen_probe import Floats, Tasks, passed_at, pixel_baselines, probe_scores, replicates, summary
from small_cnn import cnn_scores

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.config import load_config
from raydino.data.pool import Pool
from raydino.encoder import Encoder
from raydino.features import extract
from raydino.readout import readout
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl.run import pretrain
from raydino.tracking import console
from raydino.train.curves import COLOURS, save_figure
from raydino.train.precision import pick_device

READOUTS = {"CLS + mean patch": "cls_mean", "3 x 3 grid": "grid_3", "6 x 6 grid": "grid_6"}


def pool_of(dataset: Dataset, share: float) -> Pool:
    """The training films of a share of the patients; heads and figures see all films."""
    ids = dataset.sample_ids("train")
    patients = dataset.accepted.loc[ids, "patient_id"]
    names = np.random.default_rng(0).permutation(np.unique(patients.to_numpy(str)))
    chosen = set(names[: round(share * len(names))])
    return Pool([sample_id for sample_id in ids if patients[sample_id] in chosen], None, {})


@dataclass(frozen=True)
class Setting:
    """One pretraining run; 0 steps is the random network, whatever the share."""

    config: Path
    share: float
    steps: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.config.stem}-{self.share:g}-{self.steps}-{self.seed}"


def settings(arguments: argparse.Namespace) -> Iterator[Setting]:
    networks: set[str] = set()
    for config in arguments.config:
        network = json.dumps(load_config(config, PretrainConfig, arguments.overrides).recipe.vit.resolved())
        is_new = network not in networks  # policies share a network, and its random initialisation with it
        networks.add(network)
        for seed in range(arguments.seeds):
            if is_new:
                yield Setting(config, 1.0, 0, seed)
            yield from (Setting(config, share, n, seed) for share in arguments.shares for n in arguments.steps)


def config_of(setting: Setting, overrides: list[str]) -> PretrainConfig:
    """The config with its length, and every ``*_steps`` of the recipe in proportion."""
    whole = load_config(setting.config, PretrainConfig, overrides)
    scale = setting.steps / max(whole.recipe.steps, 1)
    scaled = [f"{key}={round(value * scale)}" for key, value in _step_counts(whole.recipe.resolved(), "recipe")]
    more = [f"recipe.steps={setting.steps}", f"recipe.seed={setting.seed}"]
    return load_config(setting.config, PretrainConfig, [*overrides, *scaled, *more])


def _step_counts(values: dict[str, Any], path: str) -> Iterator[tuple[str, int]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _step_counts(value, f"{path}.{key}")
        elif key.endswith("_steps") and isinstance(value, int):
            yield f"{path}.{key}", value


def encoder_scores(
    setting: Setting, dataset: Dataset, tasks: Tasks, arguments: argparse.Namespace
) -> dict[str, Floats]:
    """Pretrain (or go on) and probe; scores by readout."""
    directory = arguments.work / "runs" / setting.name
    pool = pool_of(dataset, setting.share)
    config = config_of(setting, arguments.overrides)
    resume = (directory / "artifact.json").is_file()
    options = {"resume": resume, "overwrite": False, "stop_after": None, "stop": threading.Event(), "pool": pool}
    pretrain(config, dataset, directory, **options)
    encoder = Encoder.load(directory, device=pick_device("auto"))
    outputs = [extract(encoder, dataset, ids).output for ids in (tasks.train_ids, tasks.test_ids)]
    return {
        name: probe_scores(*(readout(output, kind).numpy().astype(float) for output in outputs), tasks)
        for name, kind in READOUTS.items()
    }


def kept(path: Path, make: Callable[[], dict[str, Floats]], tasks: Tasks) -> dict[str, Floats]:
    """Scores from ``path``, made and written there when it is missing or of other tasks or films."""
    stamp = json.dumps([tasks.names, tasks.test_ids])
    if path.is_file():
        with np.load(path, allow_pickle=False) as file:
            if str(file["stamp"]) == stamp:
                return {name: file[name] for name in file.files if name != "stamp"}
    console.print(f"{path.stem} …", highlight=False)
    scores = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, stamp=np.array(stamp), **scores)
    partial.replace(path)
    return scores


def collect(dataset: Dataset, tasks: Tasks, arguments: argparse.Namespace) -> dict[tuple[str, str, int], list[Floats]]:
    """AUROC replicates [tasks, 1 + B], one array a seed, by (group, readout, steps); baselines have steps -1."""
    scores = arguments.work / "scores"
    found: dict[tuple[str, str, int], list[Floats]] = {}

    def add(group: str, kind: str, steps: int, values: Floats) -> None:
        found.setdefault((group, kind, steps), []).append(replicates(values, tasks, arguments.bootstraps))

    for name, values in kept(scores / "pixels.npz", lambda: pixel_baselines(dataset, tasks), tasks).items():
        add(name, "", -1, values)
    for seed in range(arguments.seeds):
        path = scores / f"cnn-{arguments.cnn_epochs}-{seed}.npz"
        made = kept(
            path, lambda s=seed: {"cnn": cnn_scores(dataset, tasks, seed=s, epochs=arguments.cnn_epochs)}, tasks
        )
        add("small CNN, end to end", "", -1, made["cnn"])
    for setting in settings(arguments):
        path = scores / f"{setting.name}.npz"
        for kind, values in kept(path, lambda s=setting: encoder_scores(s, dataset, tasks, arguments), tasks).items():
            if setting.steps == 0:
                add(f"random initialisation of {setting.config.stem}", kind, -1, values)
            else:
                patients = "all patients" if setting.share >= 1 else f"{setting.share:.0%} of the patients"
                add(f"{setting.config.stem}, {patients}", kind, setting.steps, values)
    return found


def report(
    found: dict[tuple[str, str, int], list[Floats]], tasks: Tasks, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Rows for the table and the JSON, and the budget at which each baseline is passed."""
    macro = {key: [np.nanmean(seed, axis=0) for seed in seeds] for key, seeds in found.items()}
    rows = []
    for (group, kind, steps), seeds in macro.items():
        by_task = np.mean([seed[:, 0] for seed in found[group, kind, steps]], axis=0)
        each = dict(zip(tasks.names, by_task.round(4).tolist(), strict=True))
        rows.append({"features": group, "readout": kind, "steps": steps, **summary(seeds), "tasks": each})
    passed = []
    baselines = [key for key in macro if key[2] < 0]
    for group, kind in dict.fromkeys((group, kind) for group, kind, steps in macro if steps >= 0):
        by_steps = {steps: seeds for (g, k, steps), seeds in macro.items() if (g, k) == (group, kind) and steps >= 0}
        for baseline in baselines:
            if baseline[1] in ("", kind):
                reached = passed_at(by_steps, macro[baseline])
                passed.append({"features": group, "readout": kind, "baseline": baseline[0], **reached})
    return {"rows": rows, "passed": passed}


def write_table(result: dict[str, Any], target: Path) -> None:
    lines = [
        "| features | readout | steps | macro AUROC (95 % over patients) | seeds: lowest to highest |",
        "|---|---|---|---|---|",
    ]
    for row in sorted(result["rows"], key=lambda row: -row["mean"]):
        interval = f"{row['mean']:.3f} ({row['ci_low']:.3f}–{row['ci_high']:.3f})"
        seeds = f"{row['seeds']}: {row['lowest_seed']:.3f} to {row['highest_seed']:.3f}"
        steps = row["steps"] if row["steps"] >= 0 else ""
        lines.append(f"| {row['features']} | {row['readout']} | {steps} | {interval} | {seeds} |")
    lines += [
        "",
        "| features | readout | baseline | passed from, in the mean | with the interval above 0 |",
        "|---|---|---|---|---|",
    ]
    for row in result["passed"]:
        reached = " | ".join("not reached" if row[k] is None else f"{row[k]} steps" for k in ("mean", "interval"))
        lines.append(f"| {row['features']} | {row['readout']} | {row['baseline']} | {reached} |")
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def plot(result: dict[str, Any], target: Path) -> None:
    """One panel a readout: a line with its interval for each group, dashed levels for the baselines."""
    figure, axes = plt.subplots(1, len(READOUTS), figsize=(4.6 * len(READOUTS), 4), sharey=True, layout="constrained")
    groups = list(dict.fromkeys(row["features"] for row in result["rows"] if row["steps"] >= 0))
    ticks = sorted({row["steps"] for row in result["rows"] if row["steps"] >= 0})
    for axis, kind in zip(axes, READOUTS, strict=True):
        for group, colour in zip(groups, COLOURS * 3, strict=False):
            rows = [r for r in result["rows"] if (r["features"], r["readout"]) == (group, kind) and r["steps"] >= 0]
            rows.sort(key=lambda row: row["steps"])
            steps = [row["steps"] for row in rows]
            axis.plot(steps, [row["mean"] for row in rows], "o-", color=colour, label=group, markersize=4)
            axis.fill_between(
                steps, [r["ci_low"] for r in rows], [r["ci_high"] for r in rows], color=colour, alpha=0.15, linewidth=0
            )
        levels = [row for row in result["rows"] if row["steps"] < 0 and row["readout"] in ("", kind)]
        for row, style in zip(levels, ("-", "--", "-.", ":"), strict=False):
            axis.axhline(row["mean"], color="0.35", linestyle=style, linewidth=1.2, label=row["features"])
        axis.set(title=kind, xlabel="steps of pretraining", xscale="log")
        axis.set_xticks(ticks, [f"{steps:,}" for steps in ticks])
        axis.minorticks_off()
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("macro AUROC of the frozen probe")
    axes[-1].legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    save_figure(figure, target, dpi=100)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--config", type=Path, nargs="+", default=[Path("configs/tiny/pretrain.yaml")])
    parser.add_argument("--steps", type=int, nargs="+", default=[600, 2400])
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0], help="of the training patients")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cnn-epochs", type=int, default=40)
    parser.add_argument("--bootstraps", type=int, default=1000)
    parser.add_argument("--work", type=Path, required=True, help="where runs, scores and results are kept")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.seeds, arguments.cnn_epochs, arguments.bootstraps = [20, 40], 1, 1, 100
    return arguments


def main() -> None:
    arguments = parsed()
    dataset = Dataset.open(arguments.dataset)
    tasks = Tasks.of(dataset)
    result = report(collect(dataset, tasks, arguments), tasks, arguments)
    arguments.work.mkdir(parents=True, exist_ok=True)
    head = {
        "benchmark": "auroc_against_steps",
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {pick_device('auto').type}",
        "config": {"configs": [str(c) for c in arguments.config], "set": arguments.overrides, "seeds": arguments.seeds},
        "dataset": dataset.header.fingerprint,
        "films": {"train": len(tasks.train_ids), "evaluation": len(tasks.test_ids)},
        "tasks": tasks.names,
    }
    write_json(arguments.work / "result.json", {**head, **result})
    write_table(result, arguments.work / "table.md")
    plot(result, arguments.work / "auroc_against_steps.png")
    print((arguments.work / "table.md").read_text(encoding="utf-8"))
    best = max((row for row in result["rows"] if row["steps"] >= 0), key=lambda row: row["mean"])
    baselines = [row for row in result["rows"] if row["steps"] < 0]
    ratios = {f"{row['features']} {row['readout']}".strip(): round(best["mean"] / row["mean"], 4) for row in baselines}
    print(json.dumps({**head, "ratios": ratios, "best": best, "passed": result["passed"]}))


if __name__ == "__main__":
    main()
