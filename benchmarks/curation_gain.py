"""Does pretraining on a curated set beat pretraining on as many films of the raw pool? On findings that are rare in it.

The pool is made imbalanced: of a dataset's training films, each with a finding stays with the chance below, so most are
normal. An encoder is pretrained on the pool, and curates it by itself, without labels. Then equal recipes, steps and
seeds on three sets of equal size: a random ``--share`` of the pool (raw), as many curated ones, and as many drawn
evenly over the true combinations of findings (labels: what balance could give at best). Frozen probes are fitted on
training films outside the pool, and tested on val and test films.

    python benchmarks/curation_gain.py dataset --steps 600 --seeds 3 --work /tmp/curation
    python benchmarks/curation_gain.py dataset --quick --work /tmp/quick

Finished work stays in --work. Writes ``result.json`` and ``table.md`` there; the last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from auroc_against_steps import READOUTS, Setting, config_of
from frozen_probe import Floats, Tasks, probe_scores, replicates, summary

from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.config import load_config
from raydino.curation.curate import curate
from raydino.curation.film_vectors import film_vectors
from raydino.curation.material import material_of_films
from raydino.curation.recipe import CurateConfig, CurateRecipe
from raydino.data.pool import Pool
from raydino.encoder import Encoder
from raydino.features import extract
from raydino.readout import readout
from raydino.ssl.run import pretrain
from raydino.tracking import console

ROOT = Path(__file__).resolve().parents[1]
STAYS = {"Pleural Effusion": 0.5, "Cardiomegaly": 0.1, "Consolidation": 0.05, "Pneumothorax": 0.05, "Nodule": 0.05}
RARE = ("Cardiomegaly", "Consolidation", "Pneumothorax")  # a nodule is beyond encoders of this size
ARMS = ("raw", "curated", "labels")


def imbalanced(dataset: Dataset, rng: np.random.Generator) -> list[str]:
    """Training films, each of which stayed with the chance of its rarest finding."""
    ids = dataset.sample_ids("train")
    chance = np.ones(len(ids))
    for finding, stays in STAYS.items():
        chance = np.where(dataset.labels.loc[ids, finding] == 1, np.minimum(chance, stays), chance)
    return [sample_id for sample_id, kept in zip(ids, rng.random(len(ids)) < chance, strict=True) if kept]


def evenly_by_findings(dataset: Dataset, ids: list[str], n: int, rng: np.random.Generator) -> list[str]:
    """``n`` of ``ids``: the k-th film of each combination of findings before the k+1-th of any."""
    combination = dataset.labels.loc[ids].fillna(0).astype(int).astype(str).agg("".join, axis=1)
    shuffled = combination.sample(frac=1, random_state=int(rng.integers(2**31)))
    place = shuffled.groupby(shuffled).cumcount()
    return sorted(place.sort_values(kind="stable").index[:n])


class Experiment:
    """Where things are kept, and what every run shares."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.work = arguments, arguments.work
        self.dataset = Dataset.open(arguments.dataset)
        self.recipe = load_config(arguments.curate, CurateConfig).recipe
        every = Tasks.of(self.dataset)
        names = [i for i, name in enumerate(every.names) if name.split(" (")[0] in (*STAYS, "No Finding")]
        self.tasks = replace(
            every, names=[every.names[i] for i in names], train=every.train[:, names], test=every.test[:, names]
        )

    def encoder(self, name: str, pool: Pool, seed: int) -> Encoder:
        """Pretrained on ``pool``, or from where that stopped."""
        directory = self.work / "runs" / f"{name}-{seed}"
        setting = Setting(self.arguments.config, 1.0, self.arguments.steps, seed)
        pretrain(
            config_of(setting, ["runtime.probe_every_steps=1000000"]),
            self.dataset,
            directory,
            resume=(directory / "artifact.json").is_file(),
            overwrite=False,
            stop_after=None,
            stop=threading.Event(),
            pool=pool,
        )
        return Encoder.load(directory)

    def pools(self, ids: list[str], seed: int) -> dict[str, Pool]:
        """What each arm reads."""
        rng = np.random.default_rng((seed, 1))
        n = round(self.arguments.share * len(ids))
        curator = self.encoder("whole", Pool(ids, None, {}), seed)
        work = self.work / "curation" / str(seed)
        vectors = film_vectors(curator, self.dataset, ids, kind=self.recipe.readout, work=work)
        material = material_of_films(vectors, self.dataset)
        budget = {"use": "subset", "budget": n}
        subset = CurateRecipe.model_validate({**self.recipe.resolved(), "seed": seed, "sampling": budget})
        chosen = curate(material, subset, work=work).table
        return {
            "raw": Pool(sorted(rng.choice(ids, n, replace=False).tolist()), None, {}),
            "curated": Pool(chosen["sample_id"][chosen["selected"]].tolist(), None, {}),
            "labels": Pool(evenly_by_findings(self.dataset, ids, n, rng), None, {}),
        }

    def scores(self, encoder: Encoder, pool_ids: list[str]) -> dict[str, Floats]:
        """Of test films, by probes of training films outside the pool."""
        outside = ~np.isin(self.tasks.train_ids, pool_ids)
        heads = [name for name, kept in zip(self.tasks.train_ids, outside, strict=True) if kept]
        tasks = replace(
            self.tasks,
            train_ids=heads,
            train=self.tasks.train[outside],
            train_patients=self.tasks.train_patients[outside],
        )
        outputs = [extract(encoder, self.dataset, ids).output for ids in (heads, self.tasks.test_ids)]
        return {
            kind: probe_scores(*(readout(output, kind).numpy().astype(float) for output in outputs), tasks)
            for kind in READOUTS.values()
        }

    def seed(self, seed: int) -> dict[str, dict[str, Any]]:
        """Scores and contents of each arm; kept in a file."""
        path = self.work / f"seed-{seed}-{self.arguments.steps}.npz"
        if not path.is_file():
            ids = imbalanced(self.dataset, np.random.default_rng((seed, 0)))
            kept: dict[str, Any] = {}
            for arm, pool in self.pools(ids, seed).items():
                console.print(f"seed {seed}: {arm}, {len(pool.sample_ids)} films")
                present = self.dataset.labels.loc[pool.sample_ids, list(STAYS)].fillna(0).to_numpy()
                kept[f"{arm}/shares"] = present.mean(axis=0)
                kept[f"{arm}/films"] = len(pool.sample_ids)
                for kind, values in self.scores(self.encoder(arm, pool, seed), ids).items():
                    kept[f"{arm}/{kind}"] = values
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, **kept)
            partial.replace(path)
        with np.load(path, allow_pickle=False) as file:
            return {arm: {k.split("/")[1]: file[k] for k in file.files if k.split("/")[0] == arm} for arm in ARMS}


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "configs/tiny/pretrain.yaml")
    parser.add_argument("--curate", type=Path, default=ROOT / "configs/curate/tiny.yaml")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--share", type=float, default=1 / 3, help="of the pool, that the sets hold")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--bootstraps", type=int, default=1000)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.steps, arguments.seeds, arguments.bootstraps = 20, 1, 100
    return arguments


def main() -> None:
    arguments = parsed()
    experiment = Experiment(arguments)
    found = [experiment.seed(seed) for seed in range(arguments.seeds)]
    names = [name.split(" (")[0] for name in experiment.tasks.names]
    rare = [i for i, name in enumerate(names) if name in RARE]
    common = [i for i, name in enumerate(names) if name in ("No Finding", "Pleural Effusion")]

    def macro(arm: str, kind: str, tasks: list[int]) -> list[Floats]:
        return [
            np.nanmean(replicates(one[arm][kind], experiment.tasks, arguments.bootstraps)[tasks], axis=0)
            for one in found
        ]

    rows: list[dict[str, Any]] = []
    for kind in READOUTS.values():
        for group, tasks in (("rare", rare), ("common", common)):
            raw = macro("raw", kind, tasks)
            for arm in ARMS:
                values = macro(arm, kind, tasks)
                gain = [one - other for one, other in zip(values, raw, strict=True)]
                rows.append({"arm": arm, "readout": kind, "findings": group, **summary(values), "gain": summary(gain)})
    shares = {arm: np.mean([one[arm]["shares"] for one in found], axis=0).round(4).tolist() for arm in ARMS}
    films = {arm: [int(one[arm]["films"]) for one in found] for arm in ARMS}
    lines = ["| set | films | " + " | ".join(f"{name} in it" for name in STAYS) + " |", "|---" * (len(STAYS) + 2) + "|"]
    lines += [f"| {arm} | {films[arm][0]} | " + " | ".join(f"{x:.1%}" for x in shares[arm]) + " |" for arm in ARMS]
    lines += [
        "",
        "| set | readout | findings | AUROC | gain on raw (95 % over patients) | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        gain = row["gain"]
        lines.append(
            f"| {row['arm']} | {row['readout']} | {row['findings']} | {row['mean']:.3f} | {gain['mean']:+.3f} "
            f"({gain['ci_low']:+.3f} to {gain['ci_high']:+.3f}) | "
            f"{gain['lowest_seed']:+.3f} to {gain['highest_seed']:+.3f} |"
        )
    (arguments.work / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    head = {
        "benchmark": "curation_gain",
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "config": {"steps": arguments.steps, "seeds": arguments.seeds, "share": arguments.share},
        "dataset": experiment.dataset.header.fingerprint,
    }
    result = {**head, "rows": rows, "shares": shares, "films": films}
    write_json(arguments.work / "result.json", result)
    print("\n".join(lines))
    gains = {f"{row['arm']} {row['readout']} {row['findings']}": round(row["gain"]["mean"], 4) for row in rows}
    print(json.dumps({**head, "gains": gains}))


if __name__ == "__main__":
    main()
