"""``raydino audit``: read, audit, write the audit artifact. Heavy imports stay inside the functions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

DEFAULT = "predictions"  # the command that is meant where none is named


class _PredictionsFirst(TyperGroup):
    """``raydino audit FILE`` is ``raydino audit predictions FILE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in ("--help", "-h") and (args[0] not in self.commands or _is_meant_as_path(args)):
            args = [DEFAULT, *args]
        return list(super().parse_args(ctx, args))


def _is_meant_as_path(args: list[str]) -> bool:
    """Predictions are often called ``predictions``: the word is a path where only options follow and it is there."""
    path, *others = args
    return (
        path == DEFAULT and bool(others) and others[0].startswith("-") and others != ["--help"] and Path(path).exists()
    )


audit = typer.Typer(
    cls=_PredictionsFirst,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Look for groups of patients that a model serves worse, and say how sure that is.\n\n"
    "[bold]raydino audit FILE --out AUDIT[/bold] audits predictions (the word [bold]predictions[/bold] may be left "
    "out; its options: raydino audit predictions --help).",
)

Demographics = Annotated[
    Path | None, typer.Option(help="Dataset whose demographics, view and manufacturer are joined by sample_id.")
]
By = Annotated[
    str | None,
    typer.Option(help="Axes, by commas: sex, age, site, race, view or any other column. Default: the config's."),
]
Settings = Annotated[Path | None, typer.Option(help="Settings as YAML. Default: those of configs/audit/default.yaml.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", help="Change a setting, as recipe.margin=0.1; may be repeated.")
]
MappingFile = Annotated[
    Path | None, typer.Option("--mapping", help="YAML that says which column is what; --write-mapping makes one.")
]
Columns = Annotated[
    list[str] | None, typer.Option("--column", help="One column's name, as score=prob_pneumonia; may be repeated.")
]
FailOn = Annotated[
    list[str] | None,
    typer.Option(help="End with exit code 3 where this holds, as 'flagged>0' or 'gap:auroc>0.05'; may be repeated."),
]


@audit.command(DEFAULT)
def predictions(
    predictions: Annotated[
        Path,
        typer.Argument(
            help="A predictions artifact, or a CSV / parquet of any model with patient_id, label, target (1 / 0 / "
            "empty), score (0..1) and group columns; threshold (else 0.5) and sample_id if there are."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Directory of the audit: report.html, report.json, parquet tables.")
    ] = None,
    demographics: Demographics = None,
    by: By = None,
    config: Settings = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the bootstrap. Default: 0.")] = None,
    bootstraps: Annotated[int | None, typer.Option(help="Resamples of patients. Default: 1000.")] = None,
    min_patients: Annotated[
        int | None, typer.Option(help="A stratum with fewer patients gets no figure. Default: 20.")
    ] = None,
    min_positives: Annotated[
        int | None, typer.Option(help="Patients needed with the finding, and without it. Default: 5.")
    ] = None,
    mapping: MappingFile = None,
    column: Columns = None,
    write_mapping: Annotated[
        Path | None, typer.Option(help="Write a mapping guessed from the file's own columns, to be edited, and stop.")
    ] = None,
    fail_on: FailOn = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print report.pdf too, with an installed Chromium.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing audit.")] = False,
    set_: Set = None,
) -> None:
    """Audit a table of predictions, of raydino or of any other model.

    Example: [bold]raydino audit predictions.csv --by sex,age,site --out audit[/bold], then open audit/report.html.
    """
    from bias_audit.run import AuditRun, example_mapping, settings_of
    from raydino.errors import UserError

    if write_mapping is not None:
        example_mapping(predictions, write_mapping)
        return
    if out is None:
        raise UserError("--out is missing", remedy="name the directory of the audit, as --out audit")
    given = {"seed": seed, "bootstraps": bootstraps, "min_patients": min_patients, "min_positives": min_positives}
    settings = settings_of(config, given, set_ or [])
    run = AuditRun(settings, by, demographics, mapping, tuple(column or ()))
    if run.write(predictions, out, fail_on=fail_on or [], pdf=pdf, overwrite=overwrite):
        from bias_audit.conditions import EXIT_CODE

        raise typer.Exit(EXIT_CODE)


@audit.command("compare")
def compare(
    old: Annotated[Path, typer.Argument(help="Predictions of the older model or date: an artifact, CSV or parquet.")],
    new: Annotated[Path, typer.Argument(help="Predictions of the newer one.")],
    out: Annotated[Path, typer.Option(help="Directory of the comparison: report.html, report.json, parquet tables.")],
    demographics: Demographics = None,
    demographics_new: Annotated[
        Path | None, typer.Option(help="Dataset of NEW, where it is another than that of OLD.")
    ] = None,
    by: By = None,
    config: Settings = None,
    mapping: MappingFile = None,
    column: Columns = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(help="End with exit code 3 where this holds, as 'widened>0' or 'widening:auroc>0.05'."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing comparison.")] = False,
    set_: Set = None,
) -> None:
    """Compare two models on the same patients, or one model at two dates: did any gap grow?

    Example: [bold]raydino audit compare may.csv june.csv --out change --fail-on 'widened>0'[/bold]
    """
    from bias_audit.conditions import EXIT_CODE
    from bias_audit.run import AuditRun, settings_of, write_changes

    settings = settings_of(config, {}, set_ or [])
    runs = [
        AuditRun(settings, by, dataset, mapping, tuple(column or ()))
        for dataset in (demographics, demographics_new or demographics)
    ]
    if write_changes((old, new), runs, out, fail_on=fail_on or [], overwrite=overwrite):
        raise typer.Exit(EXIT_CODE)


@audit.command("mitigate")
def mitigate(
    val: Annotated[Path, typer.Argument(help="Predictions of the validation split, which methods are fitted on.")],
    test: Annotated[Path, typer.Argument(help="Predictions of the test split, which gain and cost are read from.")],
    out: Annotated[Path, typer.Option(help="Directory of the report: report.html, report.json, parquet tables.")],
    by: Annotated[str, typer.Option(help="The group that methods are given, by commas: sex, or sex,site (crossed).")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="group_thresholds, group_calibration, equal_opportunity, equalized_odds or a plug-in; may be "
            "repeated. Default: all four."
        ),
    ] = None,
    demographics: Demographics = None,
    config: Settings = None,
    mapping: MappingFile = None,
    column: Columns = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
    set_: Set = None,
) -> None:
    """Try what closes gaps without touching the model, and show the cost to everyone beside the gain.

    Example: [bold]raydino audit mitigate val.csv test.csv --by sex --out mitigated[/bold]
    """
    from bias_audit.mitigation_run import write_mitigation
    from bias_audit.run import AuditRun, settings_of

    run = AuditRun(settings_of(config, {}, set_ or []), by, demographics, mapping, tuple(column or ()))
    write_mitigation((val, test), run, method or [], out, overwrite=overwrite)


@audit.command("encoder")
def encoder(
    features: Annotated[Path, typer.Argument(help="A features artifact of raydino embed.")],
    demographics: Annotated[Path, typer.Option(help="The dataset that the features are of.")],
    out: Annotated[Path, typer.Option(help="Directory of the report: report.html, report.json, parquet tables.")],
    by: Annotated[str | None, typer.Option(help="Axes, by commas. Default: sex, age, site, population.")] = None,
    config: Settings = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing report.")] = False,
    set_: Set = None,
) -> None:
    """What do frozen features tell of sex, age, site and population? Linear probes, with intervals, and distances.

    Example: [bold]raydino audit encoder features --demographics dataset --out encoder-audit[/bold]
    """
    from bias_audit.encoder_run import write_encoder_audit
    from bias_audit.run import settings_of

    write_encoder_audit(features, demographics, by, settings_of(config, {}, set_ or []), out, overwrite=overwrite)
