"""``raydino show``: a film of a dataset as a PNG that a person can look at, or a sheet of many."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from raydino.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from raydino.artifacts.dataset import Dataset

_COLOURS = ("#4cc9f0", "#f72585", "#b8f35a", "#ffb703", "#c77dff", "#ff5d5d", "#2ec4b6", "#ffffff")
_SHEET_COLUMNS = 8


def show(
    dataset: Annotated[Path, typer.Argument(help="A dataset made by raydino ingest.")],
    sample_id: Annotated[
        str | None, typer.Argument(help="Its film; a unique beginning is enough. Leave it out with --sheet.")
    ] = None,
    out: Annotated[Path, typer.Option(help="PNG file to write.")] = Path("film.png"),
    sheet: Annotated[
        int | None, typer.Option(min=1, max=400, help="A contact sheet of the first N accepted films instead.")
    ] = None,
) -> None:
    """Draw a film with the outlines of its masks, and its labels, view, age and sex below.

    Example: raydino show dataset 3f0c --out film.png    raydino show dataset --sheet 64 --out sheet.png
    """
    from raydino.artifacts.dataset import Dataset

    if (sample_id is None) == (sheet is None):
        raise UserError("one of SAMPLE_ID and --sheet N is needed", remedy="raydino inspect DATASET names some films")
    if out.suffix.lower() != ".png":
        raise UserError("the picture is a PNG", where=out, remedy=f"--out {out.with_suffix('.png')}")
    opened = Dataset.open(dataset)
    if sheet is not None:
        _draw_sheet(opened, opened.sample_ids()[:sheet], out)
    else:
        _draw_film(opened, _full_id(opened, sample_id or ""), out)
    typer.echo(out)


def _full_id(dataset: Dataset, beginning: str) -> str:
    found = [name for name in dataset.sample_ids() if name.startswith(beginning)]
    if len(found) == 1 or beginning in found:
        return beginning if beginning in found else found[0]
    if found:
        raise UserError(f"{len(found)} films begin with {beginning!r}", where=dataset.path, remedy="add more digits")
    rejected = [name for name in dataset.manifest.index if name.startswith(beginning)]
    if rejected:
        row = dataset.manifest.loc[rejected[0]]
        raise UserError(f"the film was rejected: {row['reason']} ({row['detail']})", where=dataset.path)
    raise UserError(
        f"holds no film {beginning!r}", where=dataset.path, remedy=f"films begin with {dataset.sample_ids()[0]}"
    )


def _draw_film(dataset: Dataset, sample_id: str, out: Path) -> None:
    from matplotlib.figure import Figure

    film = dataset.film(sample_id)
    height = 7.0 * film.shape[0] / film.shape[1]
    figure = Figure(figsize=(7.0, height + 1.4), facecolor="black")
    axes = figure.add_axes((0.0, 1.4 / (height + 1.4), 1.0, height / (height + 1.4)))
    _draw(axes, dataset, sample_id, outlines=True)
    lines = (sample_id, _facts(dataset, sample_id), _findings(dataset, sample_id))
    caption = "\n".join(line for line in lines if line)
    figure.text(0.02, 0.02, caption, color="white", fontsize=9, va="bottom", wrap=True)
    _save(figure, out, dpi=150)


def _draw_sheet(dataset: Dataset, sample_ids: list[str], out: Path) -> None:
    from matplotlib.figure import Figure

    from raydino.tracking import track

    columns = min(_SHEET_COLUMNS, len(sample_ids))
    rows = -(-len(sample_ids) // columns)
    figure = Figure(figsize=(1.6 * columns, 1.8 * rows), facecolor="black")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, sample_id in track(list(zip(grid.flat, sample_ids, strict=False)), "draw"):
        _draw(axes, dataset, sample_id, outlines=False)
        axes.set_title(f"{sample_id[:8]} {dataset.accepted.loc[sample_id, 'view']}", color="white", fontsize=6, pad=2)
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.97, 0.04, 0.12)
    _save(figure, out, dpi=120)


def _draw(axes: Axes, dataset: Dataset, sample_id: str, *, outlines: bool) -> None:
    import numpy as np

    film = dataset.film(sample_id)
    axes.imshow(film, cmap="gray", vmin=0, vmax=np.iinfo(film.dtype).max, interpolation="bilinear")
    axes.set_axis_off()
    drawn = []
    for structure, colour in zip(dataset.structures if outlines else (), _COLOURS * 9, strict=False):
        mask = dataset.mask(structure, sample_id)
        if mask is None or not mask.any():
            continue
        # A border of background closes the outline of a mask that touches the film's edge.
        edge = np.arange(-1, mask.shape[0] + 1), np.arange(-1, mask.shape[1] + 1)
        axes.contour(edge[1], edge[0], np.pad(mask, 1).astype(float), levels=[0.5], colors=colour, linewidths=1.2)
        drawn.append(axes.plot([], [], color=colour, label=structure)[0])
    if drawn:
        axes.legend(handles=drawn, loc="lower left", fontsize=8, facecolor="black", labelcolor="white")
    axes.set_xlim(-0.5, film.shape[1] - 0.5)
    axes.set_ylim(film.shape[0] - 0.5, -0.5)


def _facts(dataset: Dataset, sample_id: str) -> str:
    row, person = dataset.accepted.loc[sample_id], dataset.demographics.loc[sample_id]
    age = person["age_years"]
    shown_age = "age unknown" if age != age else f"{age:g} years"  # NaN differs from itself
    sex = {"F": "female", "M": "male", "O": "other sex"}.get(person["sex"], "sex unknown")
    return f"view {row['view']}, {shown_age}, {sex}, {person['site']}, split {row['split']}"


def _findings(dataset: Dataset, sample_id: str) -> str:
    labels = dataset.labels.loc[sample_id]
    present, absent = list(labels.index[labels == 1]), list(labels.index[labels == 0])
    unknown = len(labels) - len(present) - len(absent)
    parts = {"present": ", ".join(present), "absent": ", ".join(absent), "unknown": f"{unknown} labels"}
    return "\n".join(f"{name}: {value}" for name, value in parts.items() if value and value != "0 labels")


def _save(figure: object, out: Path, *, dpi: int) -> None:
    try:
        figure.savefig(out, dpi=dpi, facecolor="black", metadata={"Software": None})  # type: ignore[attr-defined]
    except OSError as error:
        raise UserError(f"cannot be written ({error.strerror})", where=out) from None
