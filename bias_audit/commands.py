"""``raydino audit``: read, audit, write the audit artifact. Heavy imports stay inside the function."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def audit(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="A predictions artifact, or a CSV / parquet of any model with patient_id, label, target (1 / 0 / "
            "empty), score (0..1) and group columns; threshold (else 0.5) and sample_id if there are."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory of the audit: report.html, report.json, parquet tables.")],
    demographics: Annotated[
        Path | None, typer.Option(help="Dataset whose demographics, view and manufacturer are joined by sample_id.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Axes, by commas: sex, age, site, race, view or any other column. Default: the config's."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings as YAML. Default: those of configs/audit/default.yaml.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap. Default: 0.")] = None,
    bootstraps: Annotated[int | None, typer.Option(help="Resamples of patients. Default: 1000.")] = None,
    min_patients: Annotated[
        int | None, typer.Option(help="A stratum with fewer patients gets no figure. Default: 20.")
    ] = None,
    min_positives: Annotated[
        int | None, typer.Option(help="Patients needed with the finding, and without it. Default: 5.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing audit.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting, as recipe.margin=0.1; may be repeated.")
    ] = None,
) -> None:
    """Look for groups of patients that a model serves worse, and say how sure that is.

    Example: [bold]raydino audit predictions.csv --by sex,age,site --out audit[/bold], then open audit/report.html.
    """
    from bias_audit.audit import audit as run_audit
    from bias_audit.axes import choose_axes
    from bias_audit.inputs import read_table
    from bias_audit.render import write_audit
    from bias_audit.settings import AuditConfig
    from raydino.artifacts.audit import AUDIT
    from raydino.artifacts.header import creating, refuse_existing
    from raydino.config import load_config, parse_config
    from raydino.errors import UserError
    from raydino.tracking import console, track

    given = {"seed": seed, "bootstraps": bootstraps, "min_patients": min_patients, "min_positives": min_positives}
    overrides = [*(set_ or []), *(f"recipe.{name}={value}" for name, value in given.items() if value is not None)]
    settings = load_config(config, AuditConfig, overrides) if config else parse_config({}, AuditConfig, overrides)
    refuse_existing(out, overwrite=overwrite)
    table = read_table(predictions, demographics)
    recipe = settings.recipe
    names = [name.strip() for name in by.split(",") if name.strip()] if by is not None else list(recipe.by)
    axes = choose_axes(names, table.groups, recipe.age_edges_years, skip_absent=by is None)
    if not axes:
        raise UserError(
            "there is no group to audit by",
            where=predictions,
            remedy="add columns such as sex, age_years or site, or pass --demographics DATASET",
        )
    result = run_audit(table, axes, settings, lambda labels: track(labels, "Audit"))
    recorded = settings.resolved() | {"axes": [axis.name for axis in axes]}
    with creating(out, AUDIT, config=recorded, seed=recipe.seed, inputs=table.inputs, overwrite=overwrite) as partial:
        write_audit(result, partial)
    flagged = int(result.gaps["flagged"].sum())
    console.print(
        f"{flagged} of {int((result.gaps['status'] == 'ok').sum())} gaps flagged. Report: {out / 'report.html'}"
    )
