"""How well the model does for patients like this one: an audit's figures in the strata where a patient belongs.

An audit artifact (``raydino audit``) holds each metric in each stratum with its interval, and says where a stratum is
too small for a figure. Nothing is measured here. A patient's groups come from the film's header and are told as a
dataset tells them; axes of which a header says nothing reliable (site, population, race, insurance) are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raydino.artifacts.audit import AUDIT, STRATA
from raydino.artifacts.header import Header, read_header
from raydino.artifacts.predictions import PREDICTIONS
from raydino.artifacts.strata_names import EVERYONE, TIMES, UNKNOWN, age_bands
from raydino.data.film_source import Groups
from raydino.errors import UserError

METRICS = ("auroc", "sensitivity", "specificity", "ppv")


@dataclass(frozen=True)
class Peer:
    """One figure of one stratum. Counts are None where the audit suppressed them; ``estimate`` and its interval where
    ``status`` is not ok, for the ``reason``."""

    axis: str
    stratum: str
    metric: str
    estimate: float | None
    ci_low: float | None
    ci_high: float | None
    n_images: int | None
    n_patients: int | None
    n_positive: int | None
    status: str  # ok, too_few, undefined or suppressed
    reason: str | None


_FIELDS = tuple(Peer.__dataclass_fields__)


@dataclass(frozen=True)
class Peers:
    """An audit opened to look patients up. ``warning``: one line where it is not known to be of this model."""

    axes: tuple[str, ...]  # of the table, crossings among them
    age_edges_years: tuple[float, ...]
    figures: Mapping[tuple[str, str, str], tuple[Peer, ...]]  # by label, axis and stratum, in the order of METRICS
    warning: str | None

    @classmethod
    def open(
        cls,
        audit: str | Path,
        labels: Iterable[str],
        adapters: Iterable[str],
        predictions: str | Path | None = None,
    ) -> Peers:
        """``labels``: what the findings adapters speak of; ``adapters``: fingerprints of the model's adapters.

        The audit knows its predictions by fingerprint, they know their adapter: ``predictions`` is their artifact,
        looked for beside the audit where it is not given. Raises UserError where no label is the audit's.
        """
        path = Path(audit)
        header = read_header(path, AUDIT)
        table = STRATA.read(path / "strata.parquet")
        spoken = tuple(labels)
        audited = sorted(set(table["label"]))
        if not set(spoken) & set(audited):
            ours, theirs = ", ".join(spoken) or "none", ", ".join(audited)
            raise UserError(
                f"audits other labels ({theirs}) than the adapters speak of ({ours})",
                where=path,
                remedy="give the audit of this model's predictions",
            )
        table = table[table["metric"].isin(METRICS) & table["label"].isin(spoken)]
        figures: dict[tuple[str, str, str], list[Peer]] = {}
        for row in table[["label", *_FIELDS]].itertuples(index=False, name=None):
            label, *values = (_plain(value) for value in row)
            figures.setdefault((label, values[0], values[1]), []).append(Peer(*values))
        in_order = {key: tuple(sorted(peers, key=_metric_place)) for key, peers in figures.items()}
        edges = tuple(float(edge) for edge in header.config.get("recipe", {}).get("age_edges_years", ()))
        missing = [label for label in spoken if label not in audited]
        warning = _doubt(path, header, set(adapters), predictions) or (
            f"{path}: does not audit {', '.join(missing)}" if missing else None
        )
        return cls(tuple(dict.fromkeys(table["axis"])), edges, in_order, warning)

    def of(self, patient: Groups) -> dict[str, list[Peer]]:
        """By label: everyone, then each axis and crossing of which the header tells, in the audit's order."""
        strata = self.strata(patient)
        found: dict[str, list[Peer]] = {}
        for (label, axis, stratum), peers in self.figures.items():
            if strata.get(axis) == stratum:
                found.setdefault(label, []).extend(peers)
        places = {axis: place for place, axis in enumerate(self.axes)}
        return {label: sorted(peers, key=lambda peer: places[peer.axis]) for label, peers in found.items()}

    def strata(self, patient: Groups) -> dict[str, str]:
        """The stratum of the patient on each of the audit's axes that a header speaks of."""
        known = {
            EVERYONE: EVERYONE,
            "sex": patient.sex,
            "age": age_band(patient.age_years, self.age_edges_years),
            "view": patient.view,
            "manufacturer": patient.manufacturer or UNKNOWN,
        }
        return {
            axis: TIMES.join(known[part] for part in axis.split(TIMES))
            for axis in self.axes
            if all(part in known for part in axis.split(TIMES))
        }


def age_band(age_years: float | None, edges_years: tuple[float, ...]) -> str:
    """An audit's name of the band that an age lies in: ``<18``, ``18–39``, …, ``80+``; UNKNOWN without one."""
    if age_years is None or not edges_years:
        return UNKNOWN
    return age_bands(edges_years)[bisect_right(edges_years, age_years)]


def _doubt(path: Path, header: Header, adapters: set[str], predictions: str | Path | None) -> str | None:
    """Why it is not certain that this model was audited, None where it is."""
    candidates = [Path(predictions)] if predictions else [path.parent / name for name in header.inputs]
    for candidate in candidates:
        if not candidate.is_dir():
            continue
        try:
            found = read_header(candidate)
        except UserError:
            continue
        if found.schema != PREDICTIONS.name or found.fingerprint not in header.inputs.values():
            continue
        if found.inputs.get("adapter") in adapters:
            return None
        return f"{path}: audits another model: its predictions ({candidate.name}) are of none of these adapters"
    if predictions:
        return f"{path}: does not audit the predictions {predictions}, so it may be of another model"
    return f"{path}: the predictions that it audits are not beside it, so it may be of another model"


def _metric_place(peer: Peer) -> int:
    return METRICS.index(peer.metric)


def _plain(value: Any) -> Any:
    """A table's value as JSON takes it: None for null."""
    if value is None or value != value:
        return None
    return value.item() if isinstance(value, np.generic) else value
