"""Writes the report of a selection: what curation did, to whom, on one page that needs nothing else.

``report.html`` has its style and pictures inside, loads nothing from the network and runs no script; ``report.json``
holds its figures for machines, and ``sizes_l1.png`` … and ``clusters.png`` its pictures. Neighbours: ``composition``
and ``tree`` count, ``wording`` words, ``pictures`` draws.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import yaml

from raydino import __version__
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import write_json
from raydino.artifacts.selection import REASONS
from raydino.curation import wording
from raydino.curation.axes import AGE_EDGES_YEARS, axes_of, label_axes
from raydino.curation.composition import FEW_FILMS, UNKNOWN, Composition, Pool, compose, effective_number, folded
from raydino.curation.hierarchy import Hierarchy
from raydino.curation.pictures import Thumbnail, draw_contact_sheet, draw_sizes, jpeg, thumbnails
from raydino.curation.tree import Cluster, Sizes, Tree, grow_tree, level_sizes

DISCLAIMER = "Research use only, never a diagnosis."
SHOWN_GROUPS = 20  # rows of one axis; the smallest are added up in the last


@dataclass(frozen=True)
class Tally:
    """All that the page says, before it is laid out."""

    pool: Pool
    noun: str
    reasons: dict[str, int]
    sizes: list[Sizes]
    tree: Tree | None
    compositions: list[Composition]
    labels: list[Composition]


def write_report(
    directory: Path,
    *,
    selection: pd.DataFrame,
    hierarchy: Hierarchy | None,
    embeddings_ids: Sequence[str],
    dataset: Dataset | None,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str] | None = None,
    pairs_sheet: Path | None = None,
) -> None:
    """Write report.html, report.json and their pictures into ``directory``.

    ``selection`` is the artifact's table; ``hierarchy`` is that of ``embeddings_ids``, in that order, or None where
    nothing was clustered; ``settings`` is the resolved recipe and ``inputs`` the fingerprints of what was curated.
    ``pairs_sheet`` is a PNG of pairs around the threshold of near duplicates. Raises ValueError where these do not
    belong together.
    """
    selection = selection.reset_index(drop=True)
    _require_consistent(selection, hierarchy, embeddings_ids)
    found = tally(selection, hierarchy, dataset)
    pictures: dict[str, Thumbnail] = {}
    ids = [str(sample_id) for sample_id in selection["sample_id"]]
    for sizes in found.sizes:
        draw_sizes(sizes, directory / f"sizes_l{sizes.level}.png", noun=found.noun)
    if dataset is not None and found.tree is not None:
        pictures = thumbnails(dataset, [ids[film] for film in _films(found.tree.shown)])
        draw_contact_sheet(found.tree, ids, found.pool.selected, pictures, directory / "clusters.png")
    prints = dict(inputs or ({"dataset": dataset.header.fingerprint} if dataset is not None else {}))
    write_json(directory / "report.json", report_values(found, settings, prints))
    page = render(found, ids, pictures, directory, settings=settings, inputs=prints, pairs_sheet=pairs_sheet)
    (directory / "report.html").write_text(page, encoding="utf-8")


def tally(selection: pd.DataFrame, hierarchy: Hierarchy | None, dataset: Dataset | None) -> Tally:
    """Count everything."""
    ids = list(selection["sample_id"])
    selected = selection["selected"].to_numpy(bool)
    patient = np.full(len(ids), -1, np.int64)
    compositions, labels = [], []
    if dataset is not None:
        patient = pd.factorize(dataset.accepted["patient_id"].reindex(ids))[0].astype(np.int64)
    pool = Pool(selected, selection["weight"].to_numpy(np.float64), patient)
    if dataset is not None:
        compositions = [compose(axis, pool) for axis in axes_of(dataset, ids)]
        labels = [compose(axis, pool) for axis in label_axes(dataset.labels.reindex(ids))]
    counts = selection["reason"].value_counts()
    reasons = {reason: int(counts.get(reason, 0)) for reason in REASONS}
    sizes = level_sizes(selection)
    tree = grow_tree(selection, sizes, hierarchy)
    return Tally(pool, "item" if dataset is None else "film", reasons, sizes, tree, compositions, labels)


def _require_consistent(selection: pd.DataFrame, hierarchy: Hierarchy | None, embeddings_ids: Sequence[str]) -> None:
    left_out = selection["reason"].notna().to_numpy()
    if not len(selection) or (left_out == selection["selected"].to_numpy(bool)).any():
        raise ValueError("each row of a selection is either selected or has a reason")
    unknown = set(selection["reason"][left_out]) - set(REASONS)
    if unknown:
        raise ValueError(f"no reason is called {min(unknown)!r}")
    if hierarchy is not None:
        if len(embeddings_ids) != len(hierarchy.levels[0].parents):
            raise ValueError(f"{len(embeddings_ids)} ids for a hierarchy of {len(hierarchy.levels[0].parents)} vectors")
        columns = [f"cluster_l{level + 1}" for level in range(len(hierarchy.levels))]
        said = selection.set_index("sample_id")[columns].reindex(list(embeddings_ids)).to_numpy(np.float64)
        if not (said == hierarchy.paths()).all():
            raise ValueError("the hierarchy is not that of the selection")


def _films(clusters: Sequence[Cluster]) -> Iterator[int]:
    for cluster in clusters:
        yield from cluster.central
        yield from _films(cluster.children)


def funnel(found: Tally) -> list[dict[str, Any]]:
    """One row a reason in the order of the work, then what was selected; ``left`` counts what remains after each."""
    left, rows = len(found.pool.selected), []
    for reason, n in found.reasons.items():
        left -= n
        rows.append({"reason": reason, "n": n, "left": left})
    return [*rows, {"reason": "selected", "n": left, "left": left}]


def report_values(found: Tally, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """The page's figures as JSON types; a figure that does not exist is null."""
    pool = found.pool
    everyone = np.arange(len(pool.selected))
    values = {
        "use": DISCLAIMER,
        "producer": f"raydino {__version__}",
        "pool": len(pool.selected),
        "selected": int(pool.selected.sum()),
        "weighted": pool.is_weighted,
        "effective_films": effective_number(pool.weight),
        "patients": {"before": pool.patients(everyone), "after": pool.patients(everyone[pool.selected])},
        "funnel": funnel(found),
        "levels": [
            {"level": s.level, "without_film": s.n_gone, "before": asdict(s.even_before), "after": asdict(s.even_after)}
            for s in found.sizes
        ],
        "composition": [_composition(one) for one in found.compositions],
        "labels": [_composition(one) for one in found.labels],
        "settings": dict(settings),
        "inputs": dict(inputs),
    }
    return _plain(values)


def _composition(composition: Composition) -> dict[str, Any]:
    groups = [asdict(group) | {"ratio": group.ratio, "few": group.is_few} for group in composition.groups]
    return asdict(composition) | {"groups": groups}


def _plain(value: Any) -> Any:
    """``value`` in JSON's (and YAML's) own types."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int | None) else str(value)


def render(
    found: Tally,
    ids: Sequence[str],
    pictures: Mapping[str, Thumbnail],
    directory: Path,
    *,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
    pairs_sheet: Path | None,
) -> str:
    """The page as text. ``directory`` holds the plots of sizes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("raydino.curation", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=wording.number, percent=wording.percent, effective=wording.effective, bar=bar, finite=math.isfinite
    )
    environment.globals.update(group_sentence=wording.group_sentence, UNKNOWN=UNKNOWN)
    told = [c for c in found.compositions if any(group.name != UNKNOWN for group in c.groups)]
    top = found.sizes[-1] if found.sizes else None
    everyone = np.arange(len(found.pool.selected))
    return environment.get_template("report.html").render(
        use=DISCLAIMER,
        producer=f"raydino {__version__}",
        found=found,
        ids=ids,
        sentences=(
            wording.fate_sentence(found.pool, found.reasons, found.noun),
            wording.balance_sentence(top, told, found.noun),
        ),
        funnel=funnel(found),
        titles=wording.REASON_TITLES,
        top=top,
        lost=wording.extremes(told, gained=False),
        gained=wording.extremes(told, gained=True),
        told=[folded(composition, SHOWN_GROUPS) for composition in told],
        untold=[composition.title for composition in found.compositions if composition not in told],
        patients=(found.pool.patients(everyone), found.pool.patients(everyone[found.pool.selected])),
        effective_films=effective_number(found.pool.weight),
        thumbnails={sample_id: _data_uri(jpeg(picture), "jpeg") for sample_id, picture in pictures.items()},
        plots=[
            (sizes, _data_uri((directory / f"sizes_l{sizes.level}.png").read_bytes(), "png")) for sizes in found.sizes
        ],
        pairs_sheet=None if pairs_sheet is None else _data_uri(pairs_sheet.read_bytes(), "png"),
        kept_of=lambda node: sum(bool(found.pool.selected[film]) for film in node.central),
        few_films=FEW_FILMS,
        least_share=wording.LEAST_SHARE,
        age_edges_years=AGE_EDGES_YEARS,
        settings=yaml.safe_dump(_plain(settings), sort_keys=False, allow_unicode=True),
        inputs=inputs,
    )


def bar(ratio: float) -> str:
    """The style of a ratio's bar: from the middle to the left (lost) or right (gained), a side being a factor of 4."""
    if not math.isfinite(ratio):
        return "width:0"
    length = 50.0 if ratio <= 0 else min(50.0, 25 * abs(math.log2(ratio)))
    return f"width:{length:.1f}%;" + ("left:50%" if ratio >= 1 else f"left:{50 - length:.1f}%")


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
