"""``raydino inspect``: what an artifact is, in a screenful. Never imports torch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from raydino.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from raydino.artifacts.header import Header

Facts = Iterator[tuple[str, str]]


def inspect(
    artifact: Annotated[Path, typer.Argument(help="A dataset, run, encoder, features, adapter, predictions or audit.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for pictures of a dataset (distributions, contact sheets) or the page of a run (run.html)."
        ),
    ] = None,
) -> None:
    """Show an artifact's header, and counts or figures of what it holds.

    Example: raydino inspect dataset    raydino inspect dataset --out pictures
    """
    from raydino.artifacts.header import read_header
    from raydino.commands.tables import print_table

    header = read_header(artifact)
    if out is not None and header.schema not in ("dataset", "run"):
        raise UserError(f"--out is for datasets and runs, and this is of the kind {header.schema}", where=artifact)
    describe = _DESCRIBE.get(header.schema)
    content = list(describe(artifact, header)) if describe else []
    print_table(f"{artifact}: {header.schema}", [_header(header), content])
    if header.schema == "dataset":
        _distributions(artifact, out)
    if header.schema == "run" and out is not None:
        from raydino.commands.run_facts import write_page

        typer.echo(write_page(artifact, [*_header(header), *content], out))


def _header(header: Header) -> Facts:
    yield "schema", f"{header.schema}, version {header.version}, by {header.producer}"
    yield "fingerprint", header.fingerprint
    if header.seed is not None:
        yield "seed", str(header.seed)
    for role, fingerprint in header.inputs.items():
        yield f"made from {role}", fingerprint


def _dataset(path: Path, header: Header) -> Facts:
    from raydino.artifacts.dataset import Dataset

    dataset = Dataset.open(path)
    manifest, accepted, people = dataset.manifest, dataset.accepted, dataset.demographics
    yield "rows", f"{len(manifest)}: {_counts(manifest['status'])}"
    yield "patients", str(accepted["patient_id"].nunique())
    yield "splits", _counts(accepted["split"])
    yield "contrast by", _counts(accepted["voi"])
    ages = people["age_years"].dropna()
    quartiles = ", ".join(f"{age:g}" for age in ages.quantile([0, 0.25, 0.5, 0.75, 1])) if len(ages) else "none"
    yield "age in years", f"minimum, quartiles, maximum {quartiles}; unknown {len(people) - len(ages)}"
    for label in dataset.label_names:
        values = dataset.labels[label]
        present, absent = int((values == 1).sum()), int((values == 0).sum())
        yield label, f"present {present}, absent {absent}, unknown {len(values) - present - absent}"
    for structure in dataset.structures:
        yield f"masks of {structure}", str(sum(1 for _ in (path / "masks" / structure).glob("*.png")))
    yield "reports", str(len(dataset.reports))
    yield "pixel recipe", _pairs(dataset.pixels)
    yield "first films", ", ".join(dataset.sample_ids()[:4])


def _distributions(path: Path, out: Path | None) -> None:
    """Rejections by reason and accepted films by group, as bars; pictures of them below ``out``."""
    from raydino.artifacts.dataset import Dataset
    from raydino.commands.contact_sheet import bars_of, write_pictures
    from raydino.commands.dataset_counts import distributions, is_told, reasons
    from raydino.commands.tables import print_table
    from raydino.dicom.screen import REASONS

    dataset = Dataset.open(path)
    rejected = reasons(dataset)
    if rejected.counts:
        told = [(*row, REASONS.get(row[0], "unknown to this raydino")) for row in bars_of(rejected)]
        print_table(f"rejected: {rejected.total:,} of {len(dataset.manifest):,} files", [told])
    panels = [[(panel.name, *row) for row in bars_of(panel)] for panel in distributions(dataset) if is_told(panel)]
    for rows in panels:
        rows[1:] = [("", *row[1:]) for row in rows[1:]]
    print_table(f"accepted: {len(dataset.accepted):,} films", panels)
    for picture in write_pictures(dataset, out) if out else ():
        typer.echo(picture)


def _run(path: Path, header: Header) -> Facts:
    from raydino.commands.run_facts import facts

    yield from facts(path, header)


def _encoder(path: Path, header: Header) -> Facts:
    from raydino.artifacts.encoder import read_encoder_card

    card = read_encoder_card(path)
    yield "network", _pairs(card.vit)
    if card.origin:
        yield "imported from", _pairs(card.origin)
    else:
        yield "pretrained for", f"{card.steps} steps" if card.steps else "0 steps: random initialisation"
    for name, value in (("mean", card.mean), ("deviation", card.std)):
        yield (
            f"pixel {name}",
            ", ".join(f"{v:.4f}" for v in (value if isinstance(value, list) else [value])) + " of 0..1",
        )
    yield "pixel recipe", _pairs(card.pixels) or "unknown, so films of any dataset are taken"


def _features(path: Path, header: Header) -> Facts:
    import numpy as np

    from raydino.artifacts.features import ARRAYS, INDEX

    yield "films", str(len(INDEX.read(path / "index.parquet")))
    for name in ARRAYS:
        file = path / f"{name}.npy"
        if not file.is_file():
            raise UserError("is missing", where=file, remedy="run raydino embed again")
        array = np.load(file, mmap_mode="r", allow_pickle=False)
        yield name, f"{' × '.join(map(str, array.shape))} {array.dtype}"


def _adapter(path: Path, header: Header) -> Facts:
    from raydino.artifacts.adapter import read_card

    card = read_card(path)
    yield "adapter", f"{card.kind} ({card.task})"
    yield "labels", ", ".join(card.labels)
    yield "thresholds", _pairs(card.thresholds) or "none"
    yield "fitted on encoder", card.encoder
    yield "config", _pairs(card.config)
    yield from _metrics(path)


def _predictions(path: Path, header: Header) -> Facts:
    from raydino.artifacts.predictions import Predictions

    table = Predictions.open(path).table
    yield "task", str(header.config["task"])
    yield "rows", f"{len(table)} of {table['sample_id'].nunique()} films, {table['patient_id'].nunique()} patients"
    yield "splits", _counts(table["split"])
    if "label" in table:
        yield "labels", ", ".join(sorted(table["label"].unique()))
    yield from _metrics(path)


def _audit(path: Path, header: Header) -> Facts:
    from raydino.artifacts.audit import GAPS, STRATA

    strata, gaps = STRATA.read(path / "strata.parquet"), GAPS.read(path / "gaps.parquet")
    yield "axes", ", ".join(sorted(strata["axis"].unique()))
    yield "strata", f"{len(strata)} figures: {_counts(strata['status'])}"
    flagged = gaps[gaps["flagged"]]
    yield "gaps", f"{len(gaps)}: {_counts(gaps['status'])}; flagged {len(flagged)}"
    yield "verdicts", _counts(gaps["verdict"].dropna())
    for row in flagged.sort_values("p_adjusted").head(10).itertuples():
        interval = f"{row.gap:+.3f} ({row.ci_low:+.3f} to {row.ci_high:+.3f})"
        yield f"{row.axis} {row.stratum}", f"{row.label}, {row.metric}: {interval}, adjusted p {row.p_adjusted:.2g}"
    yield "report", str(path / "report.html")


_DESCRIBE = {
    "dataset": _dataset,
    "run": _run,
    "encoder": _encoder,
    "features": _features,
    "adapter": _adapter,
    "predictions": _predictions,
    "audit": _audit,
}


def _metrics(path: Path) -> Facts:
    """The figures of ``metrics.json``, nested ones by dotted name."""
    file = path / "metrics.json"
    if not file.is_file():
        return
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"cannot be read as JSON ({error})", where=file) from None
    yield from _flat(values)


def _flat(values: Any, name: str = "") -> Facts:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, f"{values:.4g}" if isinstance(values, float) else str(values)


def _counts(values: pd.Series) -> str:
    return ", ".join(f"{name} {count}" for name, count in values.fillna("none").value_counts().items())


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )
