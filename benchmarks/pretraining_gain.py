"""Does pretraining help? One linear probe on several kinds of features of the same films.

Features: the pretrained encoder and the same network at random initialisation (a run each for every
seed), pixels of the film at 24 x 24, and 128 principal components of the film at 64 x 64 (fitted on
training films). Probe: logistic regression for each label, standardised features, C chosen on
validation by macro AUROC, figures on test; patients are disjoint. The last line is one JSON object.

    python benchmarks/pretraining_gain.py demo/dataset --seeds 3 --work /tmp/gain
    python benchmarks/pretraining_gain.py demo/dataset --quick        one seed, 100 steps
"""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from adapters.classification.readout import readout
from raydino.artifacts.dataset import Dataset
from raydino.config import load_config
from raydino.data.films import Films, whole_film
from raydino.encoder import Encoder
from raydino.features import extract
from raydino.ssl.recipe import PretrainConfig
from raydino.ssl.run import pretrain
from raydino.train.probe import macro_auroc
from raydino.train.stopping import Stop

C_GRID = (1e-4, 1e-3, 1e-2, 1e-1)
FRONTAL = ("PA", "AP", "UNKNOWN")
READOUTS = {"CLS + mean patch": "cls_mean", "3 x 3 grid": "grid_3", "6 x 6 grid": "grid_6"}


def frontal_ids(dataset: Dataset, split: str) -> list[str]:
    views = dataset.accepted["view"]
    return [sample_id for sample_id in dataset.sample_ids(split) if views[sample_id] in FRONTAL]


def probe(features: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> float:
    """Macro AUROC on test of a logistic regression for each label; C by macro AUROC on validation."""
    scaler = StandardScaler().fit(features["train"])
    scaled = {split: scaler.transform(values) for split, values in features.items()}
    best = (-1.0, float("nan"))
    for c in C_GRID:
        scores = {split: np.full(labels[split].shape, 0.5) for split in ("val", "test")}
        for column in range(labels["train"].shape[1]):
            known = ~np.isnan(labels["train"][:, column])
            target = labels["train"][known, column]
            if len(np.unique(target)) < 2:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = LogisticRegression(C=c, max_iter=300).fit(scaled["train"][known], target)
            for split, values in scores.items():
                values[:, column] = model.predict_proba(scaled[split])[:, 1]
        best = max(best, (macro_auroc(labels["val"], scores["val"]), macro_auroc(labels["test"], scores["test"])))
    return best[1]


def token_features(encoder: Encoder, dataset: Dataset, ids: dict[str, list[str]]) -> dict[str, dict[str, np.ndarray]]:
    """CLS + mean patch, and patch tokens averaged over grids."""
    readouts: dict[str, dict[str, np.ndarray]] = {name: {} for name in READOUTS}
    for split, sample_ids in ids.items():
        output = extract(encoder, dataset, sample_ids).output
        for name, kind in READOUTS.items():
            readouts[name][split] = readout(output, kind).numpy()
    return readouts


def pixel_features(dataset: Dataset, ids: dict[str, list[str]], side: int) -> dict[str, np.ndarray]:
    found = {}
    for split, sample_ids in ids.items():
        films = Films(dataset, sample_ids, cache_bytes=0)
        found[split] = np.stack([whole_film(films[i], side).ravel() for i in range(len(films))])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--config", type=Path, default=Path("configs/tiny/pretrain.yaml"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("gain"), help="where the runs are kept")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.overrides = 1, [*arguments.overrides, "recipe.steps=100"]

    dataset = Dataset.open(arguments.dataset)
    ids = {split: frontal_ids(dataset, split) for split in ("train", "val", "test")}
    labels = {split: dataset.labels.loc[sample_ids].to_numpy(float) for split, sample_ids in ids.items()}
    figures: dict[str, list[float]] = {}
    for seed in range(arguments.seeds):
        for name, extra in (("pretrained", []), ("random initialisation", ["recipe.steps=0"])):
            directory = arguments.work / f"{name.split()[0]}-{seed}"
            overrides = [*arguments.overrides, f"recipe.seed={seed}", *extra]
            config = load_config(arguments.config, PretrainConfig, overrides)
            resume = (directory / "checkpoints").is_dir()
            pretrain(config, dataset, directory, resume=resume, overwrite=False, stop_after=None, stop=Stop())
            for kind, features in token_features(Encoder.load(directory), dataset, ids).items():
                figures.setdefault(f"{name}, {kind}", []).append(probe(features, labels))
    figures["pixels, 24 x 24"] = [probe(pixel_features(dataset, ids, 24), labels)]
    large = pixel_features(dataset, ids, 64)
    pca = PCA(n_components=min(128, len(large["train"])), random_state=0).fit(large["train"])
    figures["PCA-128 of pixels, 64 x 64"] = [probe({s: pca.transform(x) for s, x in large.items()}, labels)]
    report(figures, dataset, arguments)


def report(figures: dict[str, list[float]], dataset: Dataset, arguments: argparse.Namespace) -> None:
    table = Table(title="macro AUROC on test of a linear probe", title_justify="left")
    for column in ("features", "mean", "lowest", "highest", "runs"):
        table.add_column(column)
    for name, values in sorted(figures.items(), key=lambda item: -float(np.mean(item[1]))):
        low, high = min(values), max(values)
        table.add_row(name, f"{np.mean(values):.3f}", f"{low:.3f}", f"{high:.3f}", str(len(values)))
    Console().print(table)
    gains = {
        kind: [
            round(a - b, 4)
            for a, b in zip(figures[f"pretrained, {kind}"], figures[f"random initialisation, {kind}"], strict=True)
        ]
        for kind in READOUTS
    }
    print(
        json.dumps(
            {
                "benchmark": "pretraining_gain",
                "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
                "config": {"config": str(arguments.config), "set": arguments.overrides, "seeds": arguments.seeds},
                "dataset": dataset.header.fingerprint,
                "macro_auroc": {name: [round(v, 4) for v in values] for name, values in figures.items()},
                "gain_over_random": gains,
            }
        )
    )


if __name__ == "__main__":
    main()
