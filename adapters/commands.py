"""``raydino adapt fit``, ``raydino adapt predict`` and ``raydino adapt label-efficiency``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adapters import dense_commands, suite_command, transfer_commands

if TYPE_CHECKING:
    from adapters.segmentation.dense import Windows

adapt = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Fit a light head on a frozen encoder, and predict with it: findings, masks, measurements, reports.",
)


class Split(StrEnum):
    """A dataset's splits, disjoint by patient."""

    train = "train"
    val = "val"
    test = "test"


Encoder_ = Annotated[Path, typer.Option("--encoder", help="Encoder artifact, or a run (its newest encoder).")]
Data = Annotated[Path, typer.Option("--data", help="Dataset artifact, of the encoder's pixel recipe.")]
Cached = Annotated[
    Path | None, typer.Option("--features", help="Features from raydino embed, to encode nothing again.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the artifact at --out once the new one is whole.")
]


@adapt.command("fit")
def fit_(
    config: Annotated[Path, typer.Argument(help="YAML file, such as configs/tiny/classification.yaml.")],
    encoder: Encoder_,
    data: Data,
    out: Annotated[Path, typer.Option(help="Directory of the adapter bundle to write.")],
    features: Cached = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one key: --set recipe.epochs=20.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Fit an adapter on the train split and choose its epoch and thresholds on the val split.

    Example: raydino adapt fit configs/tiny/classification.yaml --encoder RUN --data DATASET --out findings/
    """
    from adapters.bundle import write_bundle
    from adapters.configs import load_adapter_config
    from adapters.fit import fit
    from raydino.artifacts.adapter import ADAPTER
    from raydino.artifacts.dataset import Dataset
    from raydino.artifacts.header import creating
    from raydino.encoder import Encoder
    from raydino.features import load_features

    settings = load_adapter_config(config, set_ or ())
    dataset, frozen = Dataset.open(data), Encoder.load(encoder)
    inputs = {"encoder": frozen.spec.fingerprint, "dataset": dataset.header.fingerprint}
    with creating(
        out, ADAPTER, config=settings.resolved(), seed=settings.recipe.seed, inputs=inputs, overwrite=overwrite
    ) as directory:
        cached = load_features(features, encoder=frozen.spec, dataset=dataset) if features else None
        fitted = fit(settings, frozen, dataset, cached)
        write_bundle(directory, fitted.adapter, fitted.metrics)
    _print(fitted.adapter.task, fitted.metrics, f"{settings.kind}, validation")
    typer.echo(f"adapter: {out}")


@adapt.command("predict")
def predict_(
    adapter: Annotated[Path, typer.Argument(help="Adapter bundle from raydino adapt fit.")],
    encoder: Encoder_,
    data: Data,
    out: Annotated[Path, typer.Option(help="Directory of the predictions artifact to write.")],
    split: Annotated[Split, typer.Option(help="Which split to predict.")] = Split.test,
    features: Cached = None,
    findings: Annotated[
        Path | None,
        typer.Option(help="Predictions of findings; a report's sentences against them are flagged."),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(help="Masks from sliding windows over films of these sides in windows: 1,1.5,2. Encodes live."),
    ] = None,
    overlap: Annotated[float, typer.Option(help="Of neighbouring windows, 0 to below 1.")] = 0.5,
    overwrite: Overwrite = False,
) -> None:
    """Predict every film of a split and compare with what the dataset knows.

    Example: raydino adapt predict findings/ --encoder RUN --data DATASET --split test --out predictions/
    """
    from adapters.bundle import load_adapter
    from adapters.predict import predict
    from raydino.artifacts.adapter import ADAPTER
    from raydino.artifacts.dataset import Dataset
    from raydino.artifacts.header import creating, read_header
    from raydino.artifacts.predictions import PREDICTIONS, Predictions
    from raydino.encoder import Encoder
    from raydino.errors import UserError
    from raydino.features import load_features

    dataset, frozen = Dataset.open(data), Encoder.load(encoder)
    fitted = load_adapter(adapter, frozen.spec)
    inputs = {
        "adapter": read_header(adapter, ADAPTER).fingerprint,
        "encoder": frozen.spec.fingerprint,
        "dataset": dataset.header.fingerprint,
    }
    if findings:
        from adapters.report.flagging import findings_by_film, flag

        if fitted.task != "report":
            raise UserError(f"--findings is for reports; this adapter's task is {fitted.task}", where=adapter)
        said = Predictions.open(findings)
        by_film, inputs["findings"] = findings_by_film(said), said.header.fingerprint
    windows = _windows(scales, overlap, features)
    settings: dict[str, Any] = {"task": fitted.task, "kind": fitted.config.kind, "split": split.value}
    if windows:
        settings |= {"scales": list(windows.scales), "overlap": windows.overlap}
    with creating(out, PREDICTIONS, config=settings, inputs=inputs, overwrite=overwrite) as directory:
        cached = load_features(features, encoder=frozen.spec, dataset=dataset) if features else None
        metrics = predict(fitted, frozen, dataset, split.value, directory, cached, windows)
        n_flagged = flag(directory, by_film) if findings else 0
    _print(fitted.task, metrics, f"{fitted.config.kind}, {split.value}")
    if findings:
        typer.echo(f"{n_flagged} sentences contradict the classifier: {out / 'contradictions.parquet'}")
    typer.echo(f"predictions: {out}")


def _windows(scales: str | None, overlap: float, features: Path | None) -> Windows | None:
    """Raises UserError."""
    from adapters.segmentation.dense import Windows
    from raydino.errors import UserError

    if scales is None:
        return None
    if features:
        raise UserError("--scales encodes windows, which --features does not hold", remedy="leave one of them out")
    try:
        return Windows(tuple(float(word) for word in scales.split(",")), overlap)
    except ValueError:
        raise UserError(f"--scales {scales!r}", remedy="numbers from 1 upwards, such as 1,1.5,2") from None


@adapt.command("label-efficiency")
def label_efficiency_(
    config: Annotated[Path, typer.Argument(help="YAML file of the adapter.")],
    encoder: Encoder_,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of fits, table and curve; finished fits in it are kept.")],
    features: Cached = None,
    shares: Annotated[
        list[float] | None, typer.Option("--shares", help="Share of training patients; repeat it.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each share.")] = 3,
    split: Annotated[Split, typer.Option(help="Which split to judge by.")] = Split.test,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one key: --set recipe.epochs=20.")] = None,
) -> None:
    """Fit on 1, 5, 10 and 100 % of the training patients and draw what each is worth.

    Example: raydino adapt label-efficiency configs/adapt/classification_linear.yaml --encoder RUN --data D --out curve/
    """
    from adapters.configs import load_adapter_config
    from adapters.label_efficiency import draw, label_efficiency
    from raydino.artifacts.dataset import Dataset
    from raydino.commands.tables import print_table
    from raydino.encoder import Encoder
    from raydino.errors import UserError
    from raydino.features import load_features

    settings = load_adapter_config(config, set_ or ())
    wanted = shares or [0.01, 0.05, 0.1, 1.0]
    if wrong := [share for share in wanted if not 0 < share <= 1]:
        raise UserError(f"a share of {wrong[0]:g} is not in 0..1", remedy="--shares 0.01 --shares 0.1 --shares 1")
    dataset, frozen = Dataset.open(data), Encoder.load(encoder)
    cached = load_features(features, encoder=frozen.spec, dataset=dataset) if features else None
    out.mkdir(parents=True, exist_ok=True)
    table = label_efficiency(settings, frozen, dataset, cached, out, shares=wanted, n_seeds=seeds, split=split.value)
    draw(table, out / "curve.png")
    rows = table[table["label"] == "mean"].drop(columns="label")
    shown = [[f"{v:.3f}" if isinstance(v, float) else str(v) for v in row] for row in rows.itertuples(index=False)]
    print_table(f"{settings.kind}, {split.value}", [shown], list(rows.columns))
    typer.echo(f"label efficiency: {out}")


def _print(task: str, metrics: dict[str, Any], title: str) -> None:
    """The figures in the terminal; reports have more of them than labels."""
    from adapters.report.tables import print_report_metrics
    from adapters.tables import print_metrics

    (print_report_metrics if task == "report" else print_metrics)(metrics, title=title)


adapt.command("cardiothoracic")(dense_commands.cardiothoracic)
adapt.command("explain")(dense_commands.explain)
adapt.command("transfer")(transfer_commands.transfer)
adapt.command("suite")(suite_command.suite)
