"""What an ingest did, in counts that add up to what it was given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from raydino.dicom.assemble import Sidecars
from raydino.dicom.journal import Journal
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
    notes: Sequence[str]  # what the reader has to say of the source
    key: Path

    @property
    def images(self) -> int:
        """All that the source named."""
        return self.accepted + sum(self.rejected.values())


def summarise(
    journal: Journal,
    labels: Sequence[str],
    reader: Reader,
    sidecars: Sidecars,
    masks: MaskSource | None,
    key: Path,
) -> Summary:
    """Count the journal's verdicts (accepted and rejected)."""
    accepted, with_report, films_without_row = 0, 0, 0
    reasons: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    truths: Counter[tuple[str, float | None]] = Counter()
    used_masks: Counter[str] = Counter()
    rows_used: set[int | None] = set()
    lines_used: set[int | None] = set()
    for row in journal.rows():
        entry = row.entry
        if entry.reason is not None:
            reasons[entry.reason] += 1
            continue
        accepted += 1
        splits[str(row.split)] += 1
        truths.update((label, entry.labels.get(label)) for label in labels)
        used_masks.update(row.masks.keys())
        with_report += bool(entry.report)
        films_without_row += entry.row_line is None
        rows_used.add(entry.row_line)
        lines_used.add(entry.report_line)
    table, reports = sidecars.labels, sidecars.reports
    each = "SELECT patient FROM verdicts WHERE patient IS NOT NULL GROUP BY patient"
    patients = journal.sql.execute(f"SELECT count(*) FROM ({each})").fetchone()[0]
    tallies = {label: (truths[label, 1.0], truths[label, 0.0]) for label in labels}
    return Summary(
        accepted=accepted,
        rejected=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
        patients=patients,
        splits=splits,
        labels={label: (yes, no, accepted - yes - no) for label, (yes, no) in tallies.items()},
        masks=dict(sorted(used_masks.items())),
        reports=with_report,
        rows_without_film=len(table.rows) - len(rows_used - {None}) if table else 0,
        films_without_row=films_without_row if table else 0,
        reports_without_film=len(reports.lines - lines_used) if reports else 0,
        masks_without_film=masks.count() - sum(used_masks.values()) if masks else 0,
        left_out={**reader.left_out, **(table.left_out if table else {})},
        notes=tuple(reader.notes),
        key=key,
    )
