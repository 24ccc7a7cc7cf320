"""``raydino read``: films in, and for each what a hospital's archive takes back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from adapters.reading import Reading


def read(
    dicom: Annotated[list[Path], typer.Argument(help="DICOM files, or folders whose files are read.")],
    encoder: Annotated[Path, typer.Option("--encoder", help="Encoder artifact, or a run (its newest encoder).")],
    adapter: Annotated[list[Path], typer.Option("--adapter", help="Adapter bundle of that encoder; repeat it.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the results; made where it is not there.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Read DICOM films and write what was found as DICOM Segmentation, structured report and JSON.

    Films are made and screened as raydino ingest does it. For each there are four files in OUT, named after film and
    model, so reading again changes nothing: ID.seg.dcm (masks, on the stored image's own grid), ID.sr.dcm (findings
    with probability and operating point, measurements, a draft that says it is unverified; TID 1500), ID.pdf.dcm (one
    page of the same) and ID.json. The DICOM files carry the patient's name and number, as an archive needs them; this
    command prints none of it.

    A file that cannot be read is one line, the rest goes on, and the exit code is then 2. Needs
    pip install "raydino\\[reading-room]". Research use only, never a diagnosis.

    Example: raydino read film.dcm --encoder RUN --adapter findings/ --adapter lungs/ --adapter report/ --out results/
    """
    from adapters.reading import Reader
    from adapters.results.frame import NOTICE, require_highdicom
    from adapters.results.model import Model
    from raydino.data.film_source import source_of_film
    from raydino.errors import UserError

    require_highdicom()
    from adapters.results.files import write_results

    reader = Reader.load(encoder, adapter, device=device)
    model = Model.of(reader.encoder.spec, adapter)
    paths = _files(dicom)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder cannot be made ({error.strerror})", where=out) from None
    n_failed = 0
    for path in paths:
        try:
            reading = reader.read(path)
            written = write_results(out, reading, source_of_film(path, reading.film), model)
        except UserError as error:
            n_failed += 1
            where = "" if error.where else f"{path}: "
            typer.echo(" ".join(f"raydino: {where}{error}".split()), err=True)
        else:
            typer.echo(f"{path}: {_in_short(reading)} → {written}")
    typer.echo(f"{len(paths) - n_failed} of {len(paths)} films read. {NOTICE}.")
    if n_failed:
        raise typer.Exit(2)


def _files(given: list[Path]) -> list[Path]:
    """Files as given, folders as all files below them. A path that is not there stays, to be told in its turn."""
    found: list[Path] = []
    for path in given:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def _in_short(reading: Reading) -> str:
    """For one line: what is called present, most probable first, and what else there is."""
    present = [(finding.probability, label) for label, finding in reading.findings.items() if finding.present]
    parts = [f"{label} {probability:.2f}" for probability, label in sorted(present, reverse=True)]
    if reading.findings and not present:
        parts.append("no finding at its operating point")
    if reading.masks:
        parts.append(f"{len(reading.masks)} masks")
    parts += [f"{name} {value:.3g}" for name, value in reading.measurements.items()]
    if reading.report:
        parts.append("a draft report")
    return ", ".join(parts)
