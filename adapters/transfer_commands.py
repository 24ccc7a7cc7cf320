"""The verb ``raydino adapt transfer``: fit on one group of patients, test on all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def transfer(
    config: Annotated[Path, typer.Argument(help="YAML file of a classification adapter.")],
    encoder: Annotated[Path, typer.Option("--encoder", help="Encoder artifact, or a run (its newest encoder).")],
    data: Annotated[Path, typer.Option("--data", help="Dataset artifact, of the encoder's pixel recipe.")],
    by: Annotated[
        str,
        typer.Option(help="sex, age, site or another column; or questions by commas, as 'age<40,age>=60'."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of fits, table and picture; finished fits in it are kept.")],
    features: Annotated[
        Path | None, typer.Option("--features", help="Features from raydino embed, to encode nothing again.")
    ] = None,
    vary: Annotated[
        str | None,
        typer.Option(help="The group whose share in training is varied, as sex=F. Default: the first of two groups."),
    ] = None,
    shares: Annotated[
        list[float] | None, typer.Option("--shares", help="Share of the varied group, 0..1; repeat it.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Fits of each group and mixture.")] = 1,
    split: Annotated[str, typer.Option(help="Which split to test on.")] = "test",
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change one key: --set recipe.epochs=20.")] = None,
) -> None:
    """Fit one adapter a group, on equally many patients, and test each on every group; and mixtures of 0 to 100 %.

    Example: raydino adapt transfer configs/tiny/classification.yaml --encoder RUN --data D --by sex --out sexes/
    """
    from adapters.configs import load_adapter_config
    from adapters.transfer import groups_by, mixtures, patients_of
    from adapters.transfer import transfer as run_transfer
    from adapters.transfer_figure import draw
    from raydino.artifacts.dataset import Dataset
    from raydino.encoder import Encoder
    from raydino.errors import UserError
    from raydino.features import load_features

    settings = load_adapter_config(config, set_ or ())
    wanted = shares or [0.0, 0.25, 0.5, 0.75, 1.0]
    if wrong := [share for share in wanted if not 0 <= share <= 1]:
        raise UserError(f"a share of {wrong[0]:g} is not in 0..1", remedy="--shares 0.25 --shares 0.5")
    dataset, frozen = Dataset.open(data), Encoder.load(encoder)
    available = patients_of(groups_by(by, dataset), dataset, settings, split)
    varied = vary or (next(iter(available)) if len(available) == 2 else None)
    if varied is not None and varied not in available:
        raise UserError(f"--vary {varied!r} is none of the groups", remedy=f"one of {', '.join(available)}")
    cached = load_features(features, encoder=frozen.spec, dataset=dataset) if features else None
    out.mkdir(parents=True, exist_ok=True)
    fits = mixtures(available, varied, wanted)
    table = run_transfer(
        settings, frozen, dataset, cached, out, fits=fits, groups=list(available), n_seeds=seeds, split=split
    )
    draw(table, out / "transfer.png")
    rows = table[table["label"] == "mean"][["fit", "seed", "test_group", "auroc", "low", "high", "gap"]]
    typer.echo(rows.to_string(index=False, na_rep="–", float_format="{:.3f}".format))
    typer.echo(f"transfer: {out}")
