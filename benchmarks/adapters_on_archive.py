"""Every kind of adapter on a frozen encoder, on the test split of a dataset with the real archive's labels, against
what could win: the same head on a random network, pixels through PCA, and networks trained end to end
(``end_to_end.py``).

Tasks: findings asked within one site (the site shows in the pixels and would answer), COVID-19 within its site, sex
over all and within the first site, age, cardiothoracic ratio by regression and from predicted masks, lungs and heart,
and notes (``notes_on_archive.py``): ROUGE-L of drafts, and whether they name what the notes name, which is compared
with a decoder that never sees the film and with the most frequent note.
Heads, epochs and operating points are chosen on validation films; test films are read once. A task counts with at least
``--at-least`` test films of either class. Intervals resample patients, the same draws for all; the spread over seeds
(of head, random network and end-to-end training; the encoder is one) stands beside them.

    python benchmarks/adapters_on_archive.py dataset --encoder run --random run0 run1 run2 --work /tmp/adapters
    python benchmarks/adapters_on_archive.py dataset --encoder run --random run0 --seeds 1 --work /tmp/one

Finished parts stay in --work and are not done again; ``--only-finished`` makes the table
of what is there. Writes ``result.json`` and ``table.md`` in it.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from end_to_end import SIDE, densenet_outputs, unet_probabilities
from frozen_probe import FRONTAL, pixels
from notes_on_archive import DECODER, ROUGE, drafts_against_notes, findings_of_notes, most_frequent_note
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from adapters.batches import FilmFeatures
from adapters.fit import fit
from adapters.intervals import PatientBootstrap
from adapters.registry import ADAPTERS
from adapters.regression.targets import value_targets
from adapters.segmentation.base import decided
from adapters.segmentation.cardiothoracic import cardiothoracic_ratio
from adapters.targets import label_targets, mask_targets
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.encoder import Encoder
from raydino.features import Features, extract
from raydino.tracking import console

Floats = npt.NDArray[np.float64]
C_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
RIDGE_GRID = (1e1, 1e2, 1e3, 1e4)
BLOCKS = (-4, -3, -2, -1)
COMMON = {"views": list(FRONTAL), "patience": 20, "batch_size": 64, "weight_decay": 1e-2}
GRID = {
    "readouts": ["cls_mean", "grid_3", "grid_6"], "last_blocks": [1, 4], "blocks": list(BLOCKS), "epochs": 60,
    "learning_rate_factors": [0.03, 0.1, 0.3, 1.0], "calibration": "platt", **COMMON,
    "learning_rate": 10.0, "weight_decay": 0.0,
}  # fmt: skip
LOGISTIC = {
    "readout": "grid_6", "blocks": list(BLOCKS), "C": [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1], "max_iterations": 500,
    "calibration": "platt", "views": list(FRONTAL),
}  # fmt: skip
VALUES = {
    "loss": "huber", "readout": "grid_6", "blocks": list(BLOCKS), "l2": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0], "epochs": 100,
    **COMMON, "learning_rate": 3e-3, "weight_decay": 0.0,
}  # fmt: skip
MASKS = {
    "structures": "all", "mask_size": 96, "blocks": list(BLOCKS), "epochs": 60, **COMMON, "batch_size": 32,
    "learning_rate": 3e-3, "loss": {"dice": 1.0, "cross_entropy": 1.0, "focal": 0.0, "focal_gamma": 2.0},
}  # fmt: skip


CONVOLUTIONS = {"blocks": [-1], "width": 64, "detail": 4}
UPERNET = {"width": 32, "dropout": 0.1, "learning_rate": 1e-3, "epochs": 30}


REFERENCE = "logistic regression, 6 x 6 grid, 4 blocks"  # differences are to this head on the pretrained encoder
BLIND = "report decoder that never sees the film"  # differences of notes are to it
Part = tuple[str, Callable[[], pd.DataFrame]]


@dataclass(frozen=True)
class Question:
    """One column of figures: ``column`` of the targets, asked of films ``only`` (a question to columns, or all)."""

    name: str
    column: str
    only: tuple[str, ...]
    kind: str  # AUROC, MAE, Dice, ROUGE-L, balanced accuracy (of yes or no), or across: AUROC that no head is fitted
    # for, of the scores of the question ``column``
    among: tuple[str, ...] = ()  # of Dice: sites that are taken together


@dataclass(frozen=True)
class Archive:
    """Films by split, questions, and the truth [films, questions], NaN where a film is not asked."""

    dataset: Dataset
    train: list[str]
    val: list[str]
    test: list[str]
    questions: list[Question]
    truth: pd.DataFrame

    @classmethod
    def of(cls, dataset: Dataset, at_least: int, pool: Sequence[str] = (), against: Sequence[str] = ()) -> Archive:
        accepted = dataset.accepted[dataset.accepted["view"].isin(FRONTAL)]
        splits = [list(accepted.index[accepted["split"] == name]) for name in ("train", "val", "test")]
        site = dataset.demographics["site"].reindex(accepted.index)
        largest = str(site.value_counts().index[0])
        sites = {label: f"site={_best_site(dataset, label, site)}" for label in dataset.label_names}
        candidates = [Question(f"{label} ({asked[5:]})", label, (asked,), "AUROC") for label, asked in sites.items()]
        candidates.append(Question("sex", "sex=F", (), "AUROC"))
        candidates.append(Question(f"sex ({largest})", "sex=F", (f"site={largest}",), "AUROC"))
        candidates += [Question(name, name, (), "MAE") for name in ("age_years", *dataset.measurements.columns)]
        kept, columns = [], {}
        for question in candidates:
            values = _targets(dataset, list(accepted.index), question)
            counts = [[int((values.loc[ids] == v).sum()) for v in (0, 1)] for ids in splits]
            enough = question.kind == "MAE" or (min(counts[2]) >= at_least and min(counts[0] + counts[1]) > 0)
            if enough and values.loc[splits[2]].notna().any():
                kept.append(question)
                columns[question.name] = values
        for structure in dataset.structures:
            masked = site.loc[[s for s in splits[2] if dataset.mask_path(structure, s).is_file()]].value_counts()
            asked = [(), *((f"site={name}",) for name in sorted(masked.index[masked >= at_least]))]
            kept += [
                Question(" ".join((structure, *(f"({o[5:]})" for o in only))), structure, only, "Dice")
                for only in asked
            ]
            if pool:
                kept.append(Question(f"{structure} ({', '.join(pool)})", structure, (), "Dice", tuple(pool)))
        if len(dataset.reports):
            notes = findings_of_notes(dataset, list(accepted.index))
            rarer = notes.loc[splits[2]].apply(lambda said: min((said == 1).sum(), (said == 0).sum()))
            for name in rarer.index[rarer >= at_least]:
                kept.append(Question(name, name, (), "balanced accuracy"))
                columns[name] = notes[name]
            kept.append(Question(ROUGE, ROUGE, (), "ROUGE-L"))
        for pair in against:
            label, other = pair.split(":")
            asked = next(q for q in kept if q.column == label)
            elsewhere = dataset.labels[other].reindex(accepted.index).where(site == largest) == 1
            here = columns[asked.name] == 1
            question = Question(f"{asked.name} against {other} of {largest}", asked.name, (), "across")
            kept.append(question)
            columns[question.name] = pd.Series(np.where(here, 1.0, np.where(elsewhere, 0.0, np.nan)), accepted.index)
        return cls(dataset, *splits, kept, pd.DataFrame(columns))

    def of_kind(self, *kinds: str) -> list[Question]:
        return [question for question in self.questions if question.kind in kinds]


def _best_site(dataset: Dataset, label: str, site: pd.Series) -> str:
    values = dataset.labels[label].reindex(site.index)
    rarer = pd.DataFrame({"present": values == 1, "absent": values == 0}).groupby(site).sum().min(axis=1)
    return str(rarer.idxmax())


def _targets(dataset: Dataset, ids: list[str], question: Question) -> pd.Series:
    read = value_targets if question.kind == "MAE" else label_targets
    values = pd.Series(read(dataset, ids, [question.column])[:, 0].double().numpy(), index=ids)
    for asked in question.only:
        values = values.where(label_targets(dataset, ids, [asked])[:, 0].numpy() == 1)
    return values


def tested(
    archive: Archive, encoder: Encoder, features: Features, kind: str, recipe: dict[str, Any], column: str
) -> pd.DataFrame:
    """[test films, labels] ``column`` of what a head of ``kind`` says, fitted on training and validation films."""
    values = {"kind": kind, "recipe": recipe, "runtime": {"device": "auto"}}
    config = ADAPTERS.get(kind).config_model.model_validate(values)
    adapter = fit(config, encoder, archive.dataset, features).adapter
    films = FilmFeatures(features, archive.test, blocks=adapter.config.recipe.blocks)
    if column == "dice":
        return pd.DataFrame(_dice_and_ratio(archive, adapter, films))
    if column == "text":
        drafts = adapter.evaluate(archive.dataset, films).table["text"]
        return drafts_against_notes(archive.dataset, archive.test, list(drafts))
    return adapter.evaluate(archive.dataset, films).table.pivot(index="sample_id", columns="label", values=column)


class Frozen:
    """An encoder and its features of all films at one size, made when a head first asks for them."""

    def __init__(self, archive: Archive, path: Path, seed: int, image_size: int | None = None) -> None:
        self.archive, self.path, self.seed, self.image_size = archive, path, seed, image_size

    @cached_property
    def encoder(self) -> Encoder:
        return Encoder.load(self.path).at(self.image_size)

    @cached_property
    def features(self) -> Features:
        films = self.archive.train + self.archive.val + self.archive.test
        return extract(self.encoder, self.archive.dataset, films, blocks=BLOCKS)

    def said(self, kind: str, recipe: dict[str, Any], column: str) -> pd.DataFrame:
        recipe = {"seed": self.seed, "image_size": self.image_size, **recipe}
        return tested(self.archive, self.encoder, self.features, kind, recipe, column)


def heads_at_96(archive: Archive, path: Path, seed: int) -> Iterator[Part]:
    """(method, maker of scores [test films, its questions]) of each kind of head, films as the encoder was trained."""
    said = Frozen(archive, path, seed).said

    groups: dict[tuple[str, ...], list[Question]] = {}
    for question in archive.of_kind("AUROC"):
        groups.setdefault(question.only, []).append(question)

    def findings(kind: str, recipe: dict[str, Any]) -> pd.DataFrame:
        parts = []
        for only, questions in groups.items():
            labels = [question.column for question in questions]
            scores = said(kind, {**recipe, "labels": labels, "only": list(only)}, "score")
            names = {question.column: question.name for question in questions}
            parts.append(scores[[c for c in labels if c in scores]].rename(columns=names))
        return pd.concat(parts, axis=1)

    columns = [question.column for question in archive.of_kind("MAE")]
    yield "grid of linear heads", lambda: findings("classification_grid", GRID)
    yield REFERENCE, lambda: findings("classification_logistic", LOGISTIC)
    values = {**VALUES, "columns": columns}
    yield "linear regression, 6 x 6 grid, 4 blocks", lambda: said("regression_linear", values, "prediction")
    yield "linear, 1 block", lambda: said("segmentation_linear", {**MASKS, "blocks": [-1]}, "dice")
    yield "linear, 4 blocks", lambda: said("segmentation_linear", MASKS, "dice")
    yield "two convolutions", lambda: said("segmentation_conv", {**MASKS, **CONVOLUTIONS}, "dice")
    yield "UPerNet, 4 blocks", lambda: said("segmentation_upernet", {**MASKS, **UPERNET}, "dice")


def heads_at_192(archive: Archive, path: Path, seed: int) -> Iterator[Part]:
    """Masks and measurements from films twice as large, 12 x 12 tokens: the same encoder, positions interpolated."""
    said = Frozen(archive, path, seed, 192).said
    columns = [question.column for question in archive.of_kind("MAE")]
    values = {**VALUES, "readout": "grid_12", "blocks": [-1], "columns": columns}
    yield "linear regression, 192 px, 12 x 12 grid", lambda: said("regression_linear", values, "prediction")
    masks = {**MASKS, **CONVOLUTIONS, "mask_size": 128, "epochs": 40}
    yield "two convolutions, 192 px", lambda: said("segmentation_conv", masks, "dice")
    pyramid = {**MASKS, **UPERNET, "mask_size": 128}
    yield "UPerNet, 4 blocks, 192 px", lambda: said("segmentation_upernet", pyramid, "dice")


def writers(archive: Archive, path: Path, seed: int) -> Iterator[Part]:
    """Drafts of notes."""
    said = Frozen(archive, path, seed).said
    yield "report decoder", lambda: said("report_decoder", {**DECODER, "views": list(FRONTAL), "blind": False}, "text")


def blind_scores(archive: Archive, path: Path, seed: int) -> pd.DataFrame:
    recipe = {**DECODER, "views": list(FRONTAL), "blind": True}
    return Frozen(archive, path, seed).said("report_decoder", recipe, "text")


def most_frequent_scores(archive: Archive) -> pd.DataFrame:
    note = most_frequent_note(archive.dataset, archive.train)
    return drafts_against_notes(archive.dataset, archive.test, [note] * len(archive.test))


def _dice_and_ratio(archive: Archive, adapter: Any, films: FilmFeatures) -> dict[str, pd.Series]:
    probability = torch.cat([adapter.predict(output).probability for _, output in films.batches()]).numpy()
    thresholds = [adapter.thresholds[name] for name in adapter.labels]
    return _compared(archive, list(adapter.labels), probability, thresholds)


def _compared(
    archive: Archive, structures: list[str], probability: npt.NDArray[np.float32], thresholds: list[float]
) -> dict[str, pd.Series]:
    """Dice of each film at its own size, and the cardiothoracic ratio of its masks."""
    dataset, rows = archive.dataset, {name: {} for name in (*structures, "cardiothoracic_ratio")}
    for sample_id, film in zip(archive.test, probability, strict=True):
        n_rows, n_cols = (int(v) for v in dataset.accepted.loc[sample_id, ["rows", "cols"]])
        masks = {s: decided(p, t, n_rows, n_cols) for s, p, t in zip(structures, film, thresholds, strict=True)}
        for structure, mask in masks.items():
            reference = dataset.mask(structure, sample_id)
            if reference is not None:
                total = mask.sum() + reference.sum()
                rows[structure][sample_id] = 2 * (mask & reference).sum() / total if total else 1.0
        if {"lungs", "heart"} <= masks.keys():
            ratio = cardiothoracic_ratio(masks["lungs"], masks["heart"]).ratio
            rows["cardiothoracic_ratio"][sample_id] = np.nan if ratio is None else ratio
    return {name: pd.Series(values, dtype=float).reindex(archive.test) for name, values in rows.items()}


def pixel_scores(archive: Archive) -> pd.DataFrame:
    """128 principal components of films at 64 px; logistic regression and ridge, strength chosen on validation."""
    views = {name: pixels(archive.dataset, ids, 64) for name, ids in _splits(archive)}
    pca = PCA(n_components=128, random_state=0).fit(views["train"])
    scaler = StandardScaler().fit(pca.transform(views["train"]))
    reduced = {name: scaler.transform(pca.transform(view)) for name, view in views.items()}
    said = {}
    for question in archive.of_kind("AUROC", "MAE"):
        truth = {name: archive.truth.loc[ids, question.name].to_numpy() for name, ids in _splits(archive)}
        said[question.name] = _chosen(reduced, truth, is_value=question.kind == "MAE")
    return pd.DataFrame(said, index=archive.test)


def _chosen(features: dict[str, Floats], truth: dict[str, Floats], *, is_value: bool) -> Floats:
    """What the penalty that does best on validation says of the test films."""
    known = {name: np.isfinite(values) for name, values in truth.items()}
    best, said = np.inf, np.zeros(0)
    for strength in RIDGE_GRID if is_value else C_GRID:
        model = Ridge(strength) if is_value else LogisticRegression(C=strength, max_iter=500)
        model.fit(features["train"][known["train"]], truth["train"][known["train"]])
        read = model.predict if is_value else model.decision_function
        found, wanted = read(features["val"][known["val"]]), truth["val"][known["val"]]
        wrong = np.abs(found - wanted) if is_value else np.logaddexp(0, np.where(wanted == 1, -found, found))
        if wrong.mean() < best:
            best, said = wrong.mean(), read(features["test"])
    return said


def mean_mask_scores(archive: Archive) -> pd.DataFrame:
    structures = list(archive.dataset.structures)
    masks = mask_targets(archive.dataset, archive.train, structures, SIDE).numpy()
    mean = [masks[(masks[:, c, 0, 0] != 255), c].mean(0) for c in range(len(structures))]
    same = np.repeat(np.stack(mean)[None].astype(np.float32), len(archive.test), axis=0)
    return pd.DataFrame(_compared(archive, structures, same, [0.5] * len(structures)))


def densenet_scores(archive: Archive, seed: int, epochs: int) -> pd.DataFrame:
    questions = archive.of_kind("AUROC", "MAE")
    names, is_value = [q.name for q in questions], [q.kind == "MAE" for q in questions]
    targets = archive.truth.loc[archive.train, names].to_numpy(float)
    output = densenet_outputs(archive.dataset, archive.train, targets, is_value, archive.test, seed=seed, epochs=epochs)
    return pd.DataFrame(output, index=archive.test, columns=names)


def unet_scores(archive: Archive, seed: int, epochs: int) -> pd.DataFrame:
    structures = list(archive.dataset.structures)
    masks = mask_targets(archive.dataset, archive.train, structures, SIDE).numpy()
    taught = np.flatnonzero((masks[:, :, 0, 0] != 255).any(1))
    ids = [archive.train[i] for i in taught]
    output = unet_probabilities(archive.dataset, structures, ids, masks[taught], archive.test, seed=seed, epochs=epochs)
    return pd.DataFrame(_compared(archive, structures, output, [0.5] * len(structures)))


def _splits(archive: Archive) -> list[tuple[str, list[str]]]:
    return [("train", archive.train), ("val", archive.val), ("test", archive.test)]


@dataclass(frozen=True)
class Shelf:
    """Where finished parts are kept; with ``only_finished`` nothing is made."""

    directory: Path
    only_finished: bool

    def take(self, name: str, make: Callable[[], pd.DataFrame]) -> list[pd.DataFrame]:
        """The part, in a list; none where it is missing and not to be made."""
        path = self.directory / f"{name}.parquet"
        if not path.is_file():
            if self.only_finished:
                return []
            console.print(f"{name} …", highlight=False)
            self.directory.mkdir(parents=True, exist_ok=True)
            make().to_parquet(path.with_suffix(".partial"))
            path.with_suffix(".partial").replace(path)
        return [pd.read_parquet(path)]


def collect(archive: Archive, arguments: argparse.Namespace) -> dict[str, list[pd.DataFrame]]:
    """Scores [test films, questions] by method, one frame a seed."""
    shelf, found = Shelf(arguments.work / "scores", arguments.only_finished), defaultdict(list)
    found["PCA-128 of pixels"] += shelf.take("pixels", lambda: pixel_scores(archive))
    found["mean mask"] += shelf.take("mean-mask", lambda: mean_mask_scores(archive))
    encoders = [("encoder", arguments.encoder, seed) for seed in range(arguments.seeds)]
    encoders += [("random", path, seed) for seed, path in enumerate(arguments.random)]
    families = [("", heads_at_96), ("192-", heads_at_192)]
    if len(archive.dataset.reports):
        families.append(("notes-", writers))
        found["most frequent note"] += shelf.take("most-frequent-note", lambda: most_frequent_scores(archive))
        for seed in range(arguments.seeds):
            make_blind = partial(blind_scores, archive, arguments.encoder, seed)
            found[BLIND] += shelf.take(f"blind-notes-{seed}", make_blind)
    for size, heads in families:
        for name, path, seed in encoders:
            label = "pretrained" if name == "encoder" else "random network"
            for number, (method, make) in enumerate(heads(archive, path, seed)):
                found[f"{method}, {label}"] += shelf.take(f"{name}-{size}{seed}-{number}", make)
    for seed in range(arguments.seeds):
        n = arguments.unet_epochs
        found["UNet, end to end"] += shelf.take(f"unet-{n}-{seed}", lambda s=seed, n=n: unet_scores(archive, s, n))
    for seed in range(arguments.seeds):
        n = arguments.densenet_epochs
        densenet = shelf.take(f"densenet-{n}-{seed}", lambda s=seed, n=n: densenet_scores(archive, s, n))
        found["DenseNet121, end to end"] += densenet
    return {method: seeds for method, seeds in found.items() if seeds}


def rows_of(archive: Archive, found: dict[str, list[pd.DataFrame]]) -> list[dict[str, Any]]:
    """One row a question and method, with a macro row over the findings of each site; beside each value how much it
    differs from ``REFERENCE`` on the pretrained encoder, in the same draws of patients."""
    patients = archive.dataset.accepted.loc[archive.test, "patient_id"].to_list()
    bootstrap = PatientBootstrap(patients)

    def replicates(question: Question, scores: pd.DataFrame) -> Floats | None:
        """[1 + B]: of the films as they are, and of resampled patients."""
        column = question.column if question.kind != "AUROC" and question.column in scores else question.name
        if column not in scores:
            return None
        said = scores[column].reindex(archive.test).to_numpy(float, copy=True)
        if question.kind == "Dice":
            if question.among:
                sites = archive.dataset.demographics["site"].reindex(archive.test)
                said[~sites.isin(question.among).to_numpy()] = np.nan
            for asked in question.only:  # masks of one site: conventions differ
                said[label_targets(archive.dataset, archive.test, [asked])[:, 0].numpy() != 1] = np.nan
            return np.concatenate([[np.nanmean(said)], bootstrap.mean(said)])
        if question.kind == "ROUGE-L":
            return np.concatenate([[np.nanmean(said)], bootstrap.mean(said)])
        truth = archive.truth.loc[archive.test, question.name].to_numpy(float)
        if question.kind == "MAE":
            wrong = np.abs(said - truth)
            return np.concatenate([[np.nanmean(wrong)], bootstrap.mean(wrong)])
        known = np.isfinite(truth)
        point = _auroc(truth[known], said[known])  # of yes or no this is the balanced accuracy
        return np.concatenate([[point], bootstrap.auroc(np.where(known, truth, np.nan), said)])

    by_task: dict[tuple[str, str], dict[str, list[Floats]]] = defaultdict(dict)
    for method, seeds in found.items():
        by_question = {q: [replicates(q, scores) for scores in seeds] for q in archive.questions}
        by_question = {q: values for q, values in by_question.items() if all(v is not None for v in values)}
        findings = [q for q in by_question if q.kind == "AUROC" and q.column in archive.dataset.label_names]
        for only in sorted({q.only for q in findings}):
            members = [q for q in findings if q.only == only]
            each = [np.nanmean([by_question[q][s] for q in members], axis=0) for s in range(len(seeds))]
            if len(members) > 1:
                by_task[f"all {len(members)} findings ({only[0][5:]})", "AUROC"][method] = each
        named = [by_question[q] for q in by_question if q.kind == "balanced accuracy"]
        if named:
            each = [np.nanmean(values, axis=0) for values in zip(*named, strict=True)]
            by_task[f"all {len(named)} findings named in notes", "balanced accuracy"][method] = each
        for question, values in by_question.items():
            by_task[question.name, question.kind.replace("across", "AUROC")][method] = values
    return [
        _row(task, figure, method, seeds, methods.get(f"{REFERENCE}, pretrained", methods.get(BLIND)))
        for (task, figure), methods in by_task.items()
        for method, seeds in methods.items()
    ]


def _auroc(truth: Floats, said: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(truth, said))


def _row(task: str, figure: str, method: str, seeds: list[Floats], reference: list[Floats] | None) -> dict[str, Any]:
    mean = np.mean(seeds, axis=0)
    points = [float(seed[0]) for seed in seeds]
    row = {"task": task, "figure": figure, "method": method, "seeds": len(points)} | _interval("", mean)
    row |= {"lowest_seed": min(points), "highest_seed": max(points)}
    return row | _interval("less_reference_", mean - np.mean(reference, axis=0)) if reference else row


def _interval(prefix: str, replicates: Floats) -> dict[str, float]:
    low, high = np.nanquantile(replicates[1:], [0.025, 0.975])
    return {f"{prefix}value": float(replicates[0]), f"{prefix}low": float(low), f"{prefix}high": float(high)}


def table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| task | figure | method | value (95 % over patients) | seeds: lowest to highest | less the reference |",
        "|---|---|---|---|---|---|",
    ]
    ordered = sorted(rows, key=lambda r: (r["task"], r["value"] if r["figure"] == "MAE" else -r["value"]))
    for r in ordered:
        digits = 2 if r["figure"] == "MAE" and r["value"] > 1 else 3
        keys = ("value", "low", "high", "lowest_seed", "highest_seed")
        value, low, high, least, most = (f"{r[key]:.{digits}f}" for key in keys)
        interval, seeds = f"{value} ({low}–{high})", f"{r['seeds']}: {least} to {most}"
        less = [r.get(f"less_reference_{key}") for key in ("value", "low", "high")]
        told = "" if less[0] is None else f"{less[0]:+.3f} ({less[1]:+.3f} to {less[2]:+.3f})"
        lines.append(f"| {r['task']} | {r['figure']} | {r['method']} | {interval} | {seeds} | {told} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--random", type=Path, nargs="+", required=True, help="encoders of random networks, one a seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--densenet-epochs", type=int, default=6)
    parser.add_argument("--unet-epochs", type=int, default=40)
    parser.add_argument("--at-least", type=int, default=10)
    parser.add_argument("--pool", nargs="+", default=[], help="sites whose masks are compared together as well")
    parser.add_argument("--against", nargs="+", default=[], help="LABEL:OTHER: against OTHER of the largest site")
    parser.add_argument("--only-finished", action="store_true", help="the table of what --work holds; make nothing")
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    archive = Archive.of(Dataset.open(arguments.dataset), arguments.at_least, arguments.pool, arguments.against)
    rows = rows_of(archive, collect(archive, arguments))
    write_json(arguments.work / "result.json", {"benchmark": "adapters_on_archive", "rows": rows})
    (arguments.work / "table.md").write_text(table(rows), encoding="utf-8")
    print(table(rows))
    print(json.dumps({"benchmark": "adapters_on_archive", "work": str(arguments.work), "rows": len(rows)}))


if __name__ == "__main__":
    main()
