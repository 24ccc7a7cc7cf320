"""What an ingest did, in counts that add up to what it was given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raydino.dicom.assemble import Entry, Sidecars
from raydino.readers.base import Reader
from raydino.readers.mask_source import MaskSource


@dataclass(frozen=True)
class Summary:
    """Counts of films unless named otherwise."""

    accepted: int
    rejected: Mapping[str, int]  # by reason
    patients: int
    splits: Mapping[str, int]
    labels: Mapping[str, tuple[int, int, int]]  # positive, negative, unknown
    masks: Mapping[str, int]  # by structure
    reports: int
    rows_without_film: int  # of the labels CSV: no accepted film has them
    films_without_row: int
    reports_without_film: int  # rows of the reports CSV
    masks_without_film: int  # mask files that no accepted film uses
    left_out: Mapping[str, str]  # columns that are no labels, and why
    key: Path


def summarise(
    entries: Sequence[Entry],
    labels: Sequence[str],
    reader: Reader,
    sidecars: Sidecars,
    masks: MaskSource | None,
    key: Path,
) -> Summary:
    """Count ``entries`` (accepted and rejected)."""
    accepted = [entry for entry in entries if entry.accepted]
    table, reports = sidecars.labels, sidecars.reports
    used_masks = Counter(structure for entry in accepted for structure in entry.collected.masks)
    used_lines = {entry.report_line for entry in accepted} - {None}
    rows_used = len({entry.row_line for entry in accepted} - {None})
    return Summary(
        accepted=len(accepted),
        rejected=dict(Counter(str(e.reason) for e in entries if not e.accepted).most_common()),
        patients=len({entry.known.patient_id for entry in accepted}),
        splits=Counter(str(entry.split) for entry in accepted),
        labels={label: _tally([entry.labels.get(label) for entry in accepted]) for label in labels},
        masks=dict(sorted(used_masks.items())),
        reports=sum(bool(entry.report) for entry in accepted),
        rows_without_film=len(table.rows) - rows_used if table else 0,
        films_without_row=sum(entry.row_line is None for entry in accepted) if table else 0,
        reports_without_film=len(reports.lines - used_lines) if reports else 0,
        masks_without_film=masks.count() - sum(used_masks.values()) if masks else 0,
        left_out={**reader.left_out, **(table.left_out if table else {})},
        key=key,
    )


def _tally(values: Sequence[float | None]) -> tuple[int, int, int]:
    positive, negative = values.count(1.0), values.count(0.0)
    return positive, negative, len(values) - positive - negative
