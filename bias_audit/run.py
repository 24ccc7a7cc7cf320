"""What ``raydino audit`` does with files: settings and a mapping in, a table read, the artifact written.

Neighbours: ``commands`` (the options), ``audit`` (the pure function), ``render`` (the files of the artifact).
"""

from __future__ import annotations

from collections.abc import Mapping as Mappings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bias_audit.audit import audit
from bias_audit.axes import Axis, choose_axes
from bias_audit.compare import change_quantities, compare
from bias_audit.compare_page import summary, write_comparison
from bias_audit.conditions import audit_quantities, parse_conditions, told
from bias_audit.inputs import AuditTable, read_plain, read_table
from bias_audit.mapping import Mapping, guess_mapping, mapping_yaml, with_columns
from bias_audit.printing import find_chromium, print_pdf
from bias_audit.render import write_audit
from bias_audit.settings import AuditConfig
from raydino.artifacts.audit import AUDIT, COMPARISON
from raydino.artifacts.header import creating, refuse_existing
from raydino.config import load_config, parse_config
from raydino.errors import UserError
from raydino.tracking import console, track


def settings_of(path: Path | None, given: Mappings[str, object], overrides: Sequence[str]) -> AuditConfig:
    """Settings from a YAML, with ``given`` (of the recipe; None is not given) and ``overrides`` on top."""
    changes = [*overrides, *(f"recipe.{name}={value}" for name, value in given.items() if value is not None)]
    return load_config(path, AuditConfig, changes) if path else parse_config({}, AuditConfig, changes)


def example_mapping(table: Path, out: Path) -> None:
    """Write ``out``: a mapping guessed from the columns of ``table``, for a person to edit."""
    if out.exists():
        raise UserError("already exists", where=out, remedy="choose another --write-mapping")
    columns = [str(name) for name in read_plain(table).columns]
    try:
        out.write_text(mapping_yaml(guess_mapping(columns), columns, table.name), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=out) from None
    console.print(f"Look it over, then: raydino audit {table} --mapping {out} --out AUDIT")


@dataclass(frozen=True)
class AuditRun:
    """The choices that one or several tables are read and audited with."""

    settings: AuditConfig
    by: str | None = None  # axes by commas; None: those of the settings that the table has
    demographics: Path | None = None
    mapping: Path | None = None
    columns: tuple[str, ...] = ()  # NAME=COLUMN

    def read(self, predictions: Path) -> tuple[AuditTable, list[Axis]]:
        """The checked table and the axes to look along."""
        mapping = load_config(self.mapping, Mapping) if self.mapping else Mapping()
        table = read_table(predictions, self.demographics, with_columns(mapping, self.columns))
        recipe = self.settings.recipe
        names = [one.strip() for one in self.by.split(",") if one.strip()] if self.by is not None else list(recipe.by)
        axes = choose_axes(names, table.groups, recipe.age_edges_years, skip_absent=self.by is None)
        if not axes:
            raise UserError(
                "there is no group to audit by",
                where=predictions,
                remedy="add columns such as sex, age_years or site, or pass --demographics DATASET",
            )
        return table, axes

    def write(self, predictions: Path, out: Path, *, fail_on: Sequence[str], pdf: bool, overwrite: bool) -> list[str]:
        """Audit ``predictions`` into ``out``; the conditions of ``fail_on`` that hold, one line each."""
        conditions = parse_conditions(fail_on)
        chromium = find_chromium() if pdf else None  # before any work
        refuse_existing(out, overwrite=overwrite)
        table, axes = self.read(predictions)
        result = audit(table, axes, self.settings, lambda labels: track(labels, "Audit"))
        recorded = self.settings.resolved() | {"axes": [axis.name for axis in axes]}
        seed = self.settings.recipe.seed
        with creating(out, AUDIT, config=recorded, seed=seed, inputs=table.inputs, overwrite=overwrite) as partial:
            write_audit(result, partial)
            if chromium:
                print_pdf(partial / "report.html", partial / "report.pdf", chromium)
        flagged, tested = int(result.gaps["flagged"].sum()), int((result.gaps["status"] == "ok").sum())
        console.print(f"{flagged} of {tested} gaps flagged. Report: {out / 'report.html'}")
        held = told(conditions, audit_quantities(result.gaps))
        for line in held:
            console.print(line, markup=False)
        return held


def write_changes(
    tables: tuple[Path, Path], runs: Sequence[AuditRun], out: Path, *, fail_on: Sequence[str], overwrite: bool
) -> list[str]:
    """Compare two tables, each read by its own run, into ``out``; the conditions of ``fail_on`` that hold."""
    conditions = parse_conditions(fail_on, comparison=True)
    refuse_existing(out, overwrite=overwrite)
    (old, axes_old), (new, axes_new) = (run.read(table) for run, table in zip(runs, tables, strict=True))
    settings = runs[0].settings
    changes = compare(old, new, (axes_old, axes_new), settings, lambda labels: track(labels, "Compare"))
    inputs = {f"{age}: {name}": print_ for age, t in (("old", old), ("new", new)) for name, print_ in t.inputs.items()}
    recorded = settings.resolved() | {"axes": [axis.name for axis in axes_new]}
    seed = settings.recipe.seed
    with creating(out, COMPARISON, config=recorded, seed=seed, inputs=inputs, overwrite=overwrite) as partial:
        write_comparison(changes, partial)
    console.print(f"{summary(changes)} Report: {out / 'report.html'}", markup=False)
    held = told(conditions, change_quantities(changes))
    for line in held:
        console.print(line, markup=False)
    return held
