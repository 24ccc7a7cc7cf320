"""Groups of films that an objective tells apart: by columns, age bands or questions, crossed; small ones pooled.

UNKNOWN is a group. Groups are made label by label, of the films that know the label: a finding that one site alone
reports has one group by site, whatever films there are. Neighbours: ``objectives`` (what is done with them),
``attributes`` (columns and questions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydantic import Field
from torch import Tensor

from adapters.attributes import COLUMNS, Attribute, age_bands, column_of
from adapters.batches import Split
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.strata_names import TIMES, UNKNOWN
from raydino.config import Config
from raydino.errors import UserError

NONE = -1  # in place of a group: the film does not know the label
Strings = npt.NDArray[np.object_]
Names = tuple[tuple[str, ...], ...]  # of each label its groups


class GroupedBy(Config):
    """Which groups. ``by``: columns (``sex``, ``site``), ``age``, or questions (``age>=50``); several are crossed."""

    by: tuple[str, ...] = Field(min_length=1)
    min_patients: int = Field(gt=0)  # of a group, in training and validation each; smaller groups are pooled


def group_of(by: Sequence[str], dataset: Dataset, sample_ids: Sequence[str]) -> Strings:
    """[N] such as ``F × age>=80``; a question makes the groups yes, no (``not age>=50``) and UNKNOWN.

    Raises UserError for what is neither a column that can be asked nor a question.
    """
    parts = [_asked(name, dataset, sample_ids) for name in by]
    return np.array([TIMES.join(words) for words in zip(*parts, strict=True)], dtype=object)


def _asked(name: str, dataset: Dataset, sample_ids: Sequence[str]) -> list[str]:
    if name in COLUMNS:
        column = column_of(name, dataset, sample_ids)
        return [UNKNOWN if pd.isna(value) else str(value) for value in column]
    if name == "age":
        found = np.full(len(sample_ids), UNKNOWN, dtype=object)
        for band in age_bands():
            found[_answers(band, dataset, sample_ids) == 1] = band
        return list(found)
    if any(sign in name for sign in "=<"):
        answers = _answers(name, dataset, sample_ids)
        return [UNKNOWN if np.isnan(one) else name if one else f"not {name}" for one in answers]
    near = get_close_matches(name, (*COLUMNS, "age"), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(COLUMNS)}, age, or a question such as age>=50"
    raise UserError(f"groups cannot be told apart by {name!r}: no such column", where=dataset.path, remedy=hint)


def _answers(question: str, dataset: Dataset, sample_ids: Sequence[str]) -> npt.NDArray[np.float32]:
    asked = Attribute.of(question)
    if asked is None:
        raise UserError(f"{question!r} is no question to a column", remedy="ask such as sex=F, age>=50, 18<=age<40")
    return asked.answers(dataset, sample_ids)


def pools(films: pd.DataFrame, at_least: int) -> dict[str, str]:
    """Group → the name under which it counts, so that each has ``at_least`` patients in each part.

    ``films``: columns ``group``, ``patient_id``, ``part`` (a split, a class). Smaller groups are taken together, with
    the next larger ones where that is not yet enough; a pool is called by its members (``O + UNKNOWN``).
    """
    parts = films["part"].unique()

    def patients(members: list[str]) -> int:
        inside = films[films["group"].isin(members)]
        return int(inside.groupby("part")["patient_id"].nunique().reindex(parts, fill_value=0).min())

    sizes = {str(name): patients([name]) for name in films["group"].unique()}
    by_size = sorted(sizes, key=lambda name: (sizes[name], name))
    pool = [name for name in by_size if sizes[name] < at_least]
    larger = by_size[len(pool) :]
    while pool and larger and patients(pool) < at_least:
        pool.append(larger.pop(0))
    return {name: " + ".join(sorted(pool)) if name in pool else name for name in by_size}


def grouped(
    splits: tuple[Split, Split], dataset: Dataset, by: GroupedBy, labels: Sequence[str], *, classes: bool
) -> tuple[tuple[Split, Split], Names]:
    """Training and validation films with their ``groups`` [N, L], and of each label the names behind these numbers.

    ``classes``: ``min_patients`` is asked of either class of the training films, not of both splits (for what makes
    rates equal). Raises UserError where no label has two groups.
    """
    ids = [sample_id for split in splits for sample_id in split.films.sample_ids]
    films = pd.DataFrame({"group": group_of(by.by, dataset, ids)})
    films["patient_id"] = dataset.accepted.loc[ids, "patient_id"].to_numpy()
    films["split"] = np.repeat(["train", "val"], [len(split.films) for split in splits])
    target = torch.cat([split.targets for split in splits]).double().numpy()
    numbers, names = np.full(target.shape, NONE), []
    for column in range(len(labels)):
        known = np.isfinite(target[:, column])
        part = target[:, column] if classes else films["split"]
        asked = known & (films["split"] == "train").to_numpy() if classes else known
        counts_as = pools(films.assign(part=part)[asked], by.min_patients)
        mine = films["group"].map(counts_as)  # a group that training does not know has no name
        names.append(tuple(sorted(set(counts_as.values()))))
        place = {name: number for number, name in enumerate(names[-1])}
        numbers[known, column] = mine[known].map(place).fillna(NONE)
    if max(map(len, names)) < 2:
        raise UserError(
            f"by {', '.join(by.by)} there is one group only ({names[0][0]}) of {by.min_patients} patients or more",
            where=dataset.path,
            remedy="tell films apart by another column, or lower min_patients",
        )
    n_train = len(splits[0].films)
    parts = (torch.from_numpy(numbers[:n_train]), torch.from_numpy(numbers[n_train:]))
    return (replace(splits[0], groups=parts[0]), replace(splits[1], groups=parts[1])), tuple(names)


def members(groups: Tensor, n_groups: int) -> Tensor:
    """[N, L] numbers → [N, L, G] float32, 1 at the film's group, all 0 where it does not know the label."""
    return (groups[..., None] == torch.arange(n_groups, device=groups.device)).float()


def told(
    labels: Sequence[str], names: Names, train: Tensor, val: Tensor, losses: Tensor
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Label → group → its training and validation films and its mean validation loss; of numbers and losses [N, L]."""
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for column, label in enumerate(labels):
        found[label] = {}
        for number, name in enumerate(names[column]):
            mine = val[:, column] == number
            row = {"n_train": int((train[:, column] == number).sum()), "n_val": int(mine.sum())}
            mean = float(losses[mine, column].double().mean()) if mine.any() else None
            found[label][name] = row | {"validation_loss": mean}
    return found
