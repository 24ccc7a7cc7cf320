"""From files to one checked table: a predictions artifact, or a CSV / parquet of any model.

Every fault names the column, or the row and the value, in one line. Demographics join by sample_id;
films that they do not know stay, as UNKNOWN. Neighbours: ``checks`` (columns and values), ``audit``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from bias_audit.checks import (
    drop_repeats,
    refuse_ambiguous_groups,
    refuse_duplicates,
    refuse_torn_patients,
    require_columns,
    to_ages,
    to_fractions,
    to_targets,
    to_text,
    to_thresholds,
)
from bias_audit.mapping import Mapping, apply_mapping
from bias_audit.masks import MEASURED
from bias_audit.measurements import ERRORS, error_columns
from bias_audit.splits import films_of, leaks_between_splits
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import read_header
from raydino.artifacts.predictions import PREDICTIONS, TABLES, Predictions
from raydino.errors import UserError

NEEDED = ("patient_id", "label", "target", "score")
NOT_GROUPS = frozenset(
    (
        *NEEDED,
        *MEASURED,
        *ERRORS,
        "prediction",
        "sample_id",
        "threshold",
        "split",
        "task",
        "study_id",
        "text",
        "reference",
    )
)
DEFAULT_THRESHOLD = 0.5
OF_MEASUREMENTS = ("segmentation", "regression")  # tasks whose rows hold what was measured, no score


@dataclass(frozen=True)
class AuditTable:
    """Checked predictions: ``rows`` of films × labels, and ``films`` with their groups.

    rows: film (position in films), label, target, score, threshold, known (the answer is known), and in
    segmentation what was measured of the masks (``masks.MEASURED``), in regression ``measurements.ERRORS``.
    films: sample_id, patient_id and one column a group, sorted by sample_id.
    """

    task: str  # classification, segmentation, report or regression
    rows: pd.DataFrame
    films: pd.DataFrame
    groups: tuple[str, ...]  # group columns of films
    source: str  # name of what was audited
    splits: tuple[str, ...]
    thresholds: dict[str, tuple[float, float]]  # lowest and highest of each label that has an operating point
    inputs: dict[str, str]  # name → fingerprint
    notes: tuple[str, ...]  # what a reader of the report must know about the input
    dataset: pd.DataFrame | None = None  # every film of the dataset that --demographics names (``splits.films_of``)


def read_table(
    predictions: str | Path, demographics: str | Path | None = None, mapping: Mapping | None = None
) -> AuditTable:
    """Read and check PREDICTIONS (artifact directory, .csv or .parquet), with a dataset's groups if one is given.

    ``mapping``: from the columns of a plain table to those that the audit needs. Raises UserError with one line on
    every fault of the input.
    """
    path = Path(predictions)
    notes: list[str] = []
    if path.is_dir():
        if mapping is not None and mapping != Mapping():
            raise UserError("a predictions artifact needs no mapping of columns", where=path)
        frame, task, fingerprint = _read_artifact(path)
    else:
        frame, task, fingerprint = read_plain(path), "classification", _sha256(path)
        frame = apply_mapping(frame, mapping or Mapping(), path, notes)
        require_columns(frame, NEEDED, path, "or map columns: --column NAME=COLUMN, --write-mapping mapping.yaml")
    if frame.empty:
        raise UserError("holds no row, so there is nothing to audit", where=path)
    inputs = {path.name: fingerprint}
    frame = _checked(frame, task, path, notes)
    if demographics is not None:
        dataset = Dataset.open(demographics)
        inputs[dataset.path.name] = dataset.header.fingerprint
        everyone = films_of(dataset)
        frame = _join(frame, dataset, everyone, path, notes)
        leaks = leaks_between_splits(everyone, pd.Index(frame["sample_id"].unique()), dataset.path.name)
        return replace(_table(frame, task, path, inputs, [*notes, *([leaks] if leaks else [])]), dataset=everyone)
    return _table(frame, task, path, inputs, notes)


def table_of(frame: pd.DataFrame, source: str = "table", mapping: Mapping | None = None) -> AuditTable:
    """A plain table in memory, checked as a file would be; for use from Python."""
    notes: list[str] = []
    path = Path(source)
    frame = apply_mapping(frame, mapping or Mapping(), path, notes)
    require_columns(frame, NEEDED, path)
    if frame.empty:
        raise UserError("holds no row, so there is nothing to audit", where=path)
    return _table(_checked(frame, "classification", path, notes), "classification", path, {}, notes)


def _read_artifact(path: Path) -> tuple[pd.DataFrame, str, str]:
    header = read_header(path, PREDICTIONS)
    task = header.config.get("task")
    if task not in TABLES:
        raise UserError(f"predictions of an unknown task {task!r}", where=path, remedy=f"known: {', '.join(TABLES)}")
    table = Predictions.open(path).table
    return _mentions(table, path) if task == "report" else table, str(task), header.fingerprint


def _mentions(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A row a report and finding: what the report says of it (1 / 0) is the score, called at one half."""
    labels = [str(name).removeprefix("mention_") for name in table.columns if str(name).startswith("mention_")]
    if not labels:
        raise UserError(
            "its reports name no finding that the labeller knows, so there is nothing to audit",
            where=path,
            remedy="predict on a dataset whose labels have such findings",
        )
    identity = table[["sample_id", "patient_id", "split"]]
    return pd.concat(
        [
            identity.assign(
                label=label, target=table[f"target_{label}"], score=table[f"mention_{label}"], threshold=0.5
            )
            for label in labels
        ],
        ignore_index=True,
    )


def read_plain(path: Path) -> pd.DataFrame:
    """A CSV as text, a parquet as it is. Raises UserError when it cannot be read."""
    remedy = "pass a predictions artifact, or a CSV or parquet with " + ", ".join(NEEDED)
    if not path.is_file():
        raise UserError("no such file or directory", where=path, remedy=remedy)
    try:
        if path.suffix.casefold() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        if path.suffix.casefold() in (".csv", ".tsv"):
            separator = "\t" if path.suffix.casefold() == ".tsv" else ","
            return pd.read_csv(path, dtype=str, sep=separator, encoding="utf-8-sig", skipinitialspace=True)
    except pd.errors.EmptyDataError:
        raise UserError("the file is empty", where=path, remedy=remedy) from None
    except (OSError, ValueError, ArithmeticError) as error:
        raise UserError(f"cannot be read ({' '.join(str(error).split())[:200]})", where=path, remedy=remedy) from None
    raise UserError(f"cannot tell what a {path.suffix or 'file without suffix'!r} holds", where=path, remedy=remedy)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked(frame: pd.DataFrame, task: str, path: Path, notes: list[str]) -> pd.DataFrame:
    frame = _typed(frame, task, path, notes)
    if "sample_id" in frame:
        frame = drop_repeats(frame, notes)
        refuse_duplicates(frame, path)
    if "split" in frame:
        refuse_torn_patients(frame, path)
    return frame


def _typed(frame: pd.DataFrame, task: str, path: Path, notes: list[str]) -> pd.DataFrame:
    """Columns with checked types; ``known`` tells the rows that have an answer."""
    frame = frame.reset_index(drop=True).copy()
    for name in ("patient_id", "label", *(["sample_id"] if "sample_id" in frame else [])):
        frame[name] = to_text(frame, name, path)
    if "age_years" not in frame and "age" in frame:
        frame = frame.rename(columns={"age": "age_years"})
    if "age_years" in frame:
        frame["age_years"] = to_ages(frame, path, notes)
    if task == "segmentation":
        frame["known"] = frame["dice"].notna()
        return frame.assign(target=1.0, score=1.0, threshold=0.0)
    if task == "regression":
        frame = frame.assign(**error_columns(frame))
        return frame.assign(known=frame["target"].notna(), target=1.0, score=1.0, threshold=0.0)
    frame["target"] = to_targets(frame, path)
    frame["score"] = to_fractions(frame, "score", path)
    if "threshold" in frame:
        frame["threshold"] = to_thresholds(frame, path, notes)
    else:
        frame["threshold"] = DEFAULT_THRESHOLD
        notes.append(
            f"The table has no column threshold, so a score of {DEFAULT_THRESHOLD} or more counts as positive. "
            "Sensitivity and specificity depend on that choice; AUROC does not."
        )
    return frame.assign(known=frame["target"].notna())


def _join(frame: pd.DataFrame, dataset: Dataset, everyone: pd.DataFrame, path: Path, notes: list[str]) -> pd.DataFrame:
    """Add the demographics, the view and the manufacturer by sample_id."""
    where = f"{path} --demographics {dataset.path}"
    if "sample_id" not in frame:
        raise UserError("the table has no column 'sample_id' to join demographics by", where=where)
    groups = everyone.drop(columns=["split", "content_sha256"])
    known = frame["sample_id"].isin(groups.index)
    if not known.any():
        raise UserError(
            "no film of the predictions is in the dataset", where=where, remedy="pass the dataset that was predicted on"
        )
    joined = groups.reindex(frame["sample_id"]).reset_index(drop=True)
    other = (joined["patient_id"] != frame["patient_id"]) & known
    if other.any():
        film = frame["sample_id"][other].iloc[0]
        raise UserError(f"the film {film!r} belongs to another patient in the dataset", where=where)
    if not known.all():
        count = frame["sample_id"][~known].nunique()
        notes.append(f"{count} films are not in the dataset {dataset.path.name}; their groups are UNKNOWN.")
    columns = [name for name in joined.columns if name != "patient_id"]
    replaced = [name for name in columns if name in frame]
    if replaced:
        notes.append(f"Columns taken from the dataset instead of the table: {', '.join(replaced)}.")
    return frame.drop(columns=replaced).join(joined[columns])


def _table(frame: pd.DataFrame, task: str, path: Path, inputs: dict[str, str], notes: list[str]) -> AuditTable:
    groups = tuple(name for name in frame.columns if name not in NOT_GROUPS and name != "known")
    if "sample_id" in frame:
        refuse_ambiguous_groups(frame, groups, path)
    else:
        frame = frame.assign(sample_id=_film_names(frame, groups))
    films = frame.drop_duplicates("sample_id").sort_values("sample_id")[["sample_id", "patient_id", *groups]]
    films = films.reset_index(drop=True)
    position = pd.Series(films.index, index=films["sample_id"])
    measured = [name for name in (*MEASURED, *ERRORS) if name in frame] if task in OF_MEASUREMENTS else []
    rows = frame[["label", "target", "score", "threshold", *measured, "known"]].assign(
        film=position.loc[frame["sample_id"]].to_numpy()
    )
    spread = rows.groupby("label")["threshold"].agg(["min", "max"])
    if not rows["known"].any():
        raise UserError("no row has a known answer, so nothing can be audited", where=path)
    return AuditTable(
        task=task,
        rows=rows.sort_values(["label", "film"]).reset_index(drop=True),
        films=films,
        groups=groups,
        source=path.name,
        splits=tuple(sorted(set(frame["split"].dropna().astype(str)))) if "split" in frame else (),
        thresholds={str(label): (float(low), float(high)) for label, low, high in spread.dropna().itertuples()},
        inputs=inputs,
        notes=tuple(notes),
    )


def _film_names(frame: pd.DataFrame, groups: tuple[str, ...]) -> pd.Series:
    """Names for films without sample_id: the patient, the groups, and a count over rows of the same label.

    Rows are put in order of score first, so the names do not hang on the order in the file.
    """
    key = ["patient_id", *groups]
    ordered = frame.assign(_order=frame["target"].fillna(-1)).sort_values([*key, "label", "score", "_order"])
    count = ordered.groupby([*key, "label"], dropna=False).cumcount()
    group = ordered.groupby(key, dropna=False, sort=True).ngroup()
    names = [f"{patient}/{g:09d}/{c}" for patient, g, c in zip(ordered["patient_id"], group, count, strict=True)]
    return pd.Series(names, index=ordered.index).reindex(frame.index)
