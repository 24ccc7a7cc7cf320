"""From a file's own columns to those of the audit: names, and a column a finding (wide) to a row a finding (long).

A mapping is a YAML file, an example of which ``guess_mapping`` writes from a file's columns; single names can be given
as ``--column score=prob_pneumonia``. Neighbours: ``inputs`` (reads the file and calls this), ``checks`` (values).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
from pydantic import Field

from raydino.config import Config
from raydino.errors import UserError

# The audit's columns, and what other people call them. The first that a file has is taken.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "patient_id": ("patient_id", "patientid", "patient", "subject_id", "subject", "pid"),
    "sample_id": ("sample_id", "image_id", "image", "image_index", "dicom_id", "sop_instance_uid", "filename", "path"),
    "label": ("label", "finding", "pathology", "disease", "class"),
    "target": ("target", "truth", "y_true", "ground_truth", "gt", "label_value"),
    "score": ("score", "prob", "probability", "prediction", "pred", "y_score", "y_pred", "y_prob"),
    "threshold": ("threshold", "operating_point", "cutoff"),
    "split": ("split", "fold", "partition"),
    "sex": ("sex", "gender", "patient_sex", "patient_gender"),
    "age_years": ("age_years", "age", "patient_age", "anchor_age"),
    "site": ("site", "hospital", "institution", "centre", "center"),
    "race": ("race", "ethnicity", "race_ethnicity"),
    "view": ("view", "view_position", "viewposition"),
}
SCORES = ("score", "prob", "probability", "pred", "prediction", "y_score", "y_prob", "logit_prob")
TARGETS = ("target", "truth", "label", "y_true", "true", "gt", "ground_truth")


class Finding(Config):
    """The columns of one finding in a wide table; ``threshold`` is a column or a number."""

    score: str
    target: str
    threshold: str | float | None = None


class Mapping(Config):
    """``columns``: the audit's name → the file's; ``findings``: name → its columns; ``leave_out``: no groups."""

    columns: dict[str, str] = Field(default_factory=dict)
    findings: dict[str, Finding] = Field(default_factory=dict)
    leave_out: tuple[str, ...] = ()


def with_columns(mapping: Mapping, given: Iterable[str]) -> Mapping:
    """The mapping with ``NAME=COLUMN`` of each ``given`` on top. Raises UserError where one is not of that form."""
    columns = dict(mapping.columns)
    for text in given:
        name, equals, column = (part.strip() for part in text.partition("="))
        if not (name and equals and column):
            raise UserError(f"cannot read --column {text!r}", remedy="write it as --column score=prob_pneumonia")
        columns[name] = column
    return mapping.model_copy(update={"columns": columns})


def apply_mapping(frame: pd.DataFrame, mapping: Mapping, path: Path, notes: list[str]) -> pd.DataFrame:
    """``frame`` with the audit's names, in long form. Raises UserError for a column that it lacks."""
    found = [str(name) for name in frame.columns]
    frame = frame.set_axis(found, axis=1)
    for name, column in mapping.columns.items():
        _require(column, found, path, f"columns.{name}")
    if mapping.columns:
        notes.append(
            "Columns mapped: " + ", ".join(f"{name} is {column}" for name, column in mapping.columns.items()) + "."
        )
    replaced = [name for name in mapping.columns if name in found and name not in mapping.columns.values()]
    frame = frame.drop(columns=[*replaced, *(name for name in mapping.leave_out if name in found)])
    frame = frame.assign(**{name: frame[column] for name, column in mapping.columns.items()})
    frame = frame.drop(columns=[c for c in mapping.columns.values() if c not in mapping.columns and c in frame])
    return _long(frame, mapping.findings, found, path, notes) if mapping.findings else frame


def _long(
    frame: pd.DataFrame, findings: dict[str, Finding], found: Sequence[str], path: Path, notes: list[str]
) -> pd.DataFrame:
    used: list[str] = []
    for name, finding in findings.items():
        for part in ("score", "target", "threshold"):
            column = getattr(finding, part)
            if isinstance(column, str):
                _require(column, found, path, f"findings.{name}.{part}")
                used.append(column)
    base = frame.drop(columns=list(dict.fromkeys(used)))
    parts = []
    for name, finding in findings.items():
        one = base.assign(label=name, score=frame[finding.score], target=frame[finding.target])
        if finding.threshold is not None:
            is_column = isinstance(finding.threshold, str)
            one["threshold"] = frame[finding.threshold] if is_column else finding.threshold
        parts.append(one)
    notes.append(f"A column a finding was read as a row a finding: {', '.join(findings)}.")
    long = pd.concat(parts, ignore_index=True)
    if "sample_id" not in long:  # a row is a film; without its number films of one patient would be mixed up
        long["sample_id"] = [f"row{row + 1:09d}" for row in range(len(frame))] * len(findings)
    return long


def _require(column: str, found: Sequence[str], path: Path, where: str) -> None:
    if column not in found:
        near = get_close_matches(column, found, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"found: {', '.join(found)}"
        raise UserError(f"has no column {column!r} ({where} of the mapping)", where=path, remedy=hint)


def guess_mapping(columns: Sequence[str]) -> Mapping:
    """A mapping as far as the names of ``columns`` tell; what they do not tell is left to the reader."""
    plain = {_plain(name): str(name) for name in reversed(columns)}
    guessed = {}
    for name, spellings in SPELLINGS.items():
        match = next((plain[spelling] for spelling in spellings if spelling in plain), None)
        if match is not None and match != name:
            guessed[name] = match
    findings = {}
    if not any(spelling in plain for spelling in SPELLINGS["score"]):
        findings = _wide(plain)
    return Mapping(columns=guessed, findings=findings)


def _wide(plain: dict[str, str]) -> dict[str, Finding]:
    """Pairs such as prob_nodule and label_nodule, nodule_score and nodule_target, or pred_nodule and nodule."""
    found = {}
    for name in sorted(plain):
        for word in SCORES:
            rest = name.removeprefix(f"{word}_") if name.startswith(f"{word}_") else name.removesuffix(f"_{word}")
            if rest == name:
                continue
            names = [f"{other}_{rest}" for other in TARGETS] + [f"{rest}_{other}" for other in TARGETS] + [rest]
            target = next((plain[one] for one in names if one in plain), None)
            if target is not None and rest not in found:
                found[rest] = Finding(score=plain[name], target=target)
    return {name.replace("_", " ").capitalize(): finding for name, finding in found.items()}


def _plain(name: object) -> str:
    return "_".join(str(name).casefold().replace("-", " ").replace("_", " ").split())


def mapping_yaml(mapping: Mapping, columns: Sequence[str], source: str) -> str:
    """The mapping as a commented YAML file."""
    needed = [n for n in ("patient_id", "label", "target", "score") if n not in columns and n not in mapping.columns]
    if mapping.findings:
        needed = [name for name in needed if name == "patient_id"]
    quoted = [f"  {name}: {_quoted(column)}" for name, column in mapping.columns.items()]
    todo = [f'  # {name}: ""   # needed; no column looks like it' for name in needed]
    lines = [
        f"# Columns of {source} as the audit calls them: raydino audit {source} --mapping THIS --out AUDIT",
        f"# Found: {', '.join(map(str, columns))}",
        "# Columns that are not named here keep their names; any other column can be an axis (--by).",
        "columns:                 # the audit's name: the file's" + ("" if quoted else " (none to change)"),
        *(quoted or ([] if todo else ["  {}"])),
        *todo,
        "findings:                # for a table with columns of each finding: name: {score, target, threshold}",
    ]
    if quoted == [] and todo:
        lines.insert(lines.index(todo[0]), "  {}")
    for name, finding in mapping.findings.items():
        lines.append(
            f"  {_quoted(name)}: {{score: {_quoted(finding.score)}, target: {_quoted(finding.target)}, threshold: 0.5}}"
        )
    if not mapping.findings:
        lines.append("  {}")
    return "\n".join([*lines, "leave_out: []            # columns that are no groups", ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
