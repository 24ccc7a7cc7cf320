"""Draft reports: their texts as targets, and how near they come to the reports that people wrote and to the truth."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from adapters.base import Adapter, Evaluation, Recipe, identity_columns
from adapters.batches import BATCH, FilmFeatures
from adapters.metrics import Counts, mean_of, one_class_reason
from adapters.report.labeller import Labeller
from adapters.report.scorers import figures_against_references
from adapters.report.sections import Sections, chosen_text, without_headings
from adapters.targets import label_targets, texts_of
from raydino.artifacts.dataset import Dataset
from raydino.encoder import EncoderOutput
from raydino.tracking import track

_FIGURES = ("f1", "balanced_accuracy", "accuracy", "f1_of_reference")


class ReportRecipe(Recipe):
    """What every writer's recipe holds."""

    sections: Sections = "all"  # of the dataset's reports: all, or findings, impression or both
    scorers: tuple[str, ...] = ()  # further metrics by name (``raydino.report_scorers``), such as CheXbert's


class Reports(NamedTuple):
    """What is written of B films, and what the labeller reads in it (a draft, never a finished report)."""

    text: list[str]
    mentions: list[dict[str, float]]  # label: 1.0 named as present or doubtful, else 0.0


class ReportAdapter(Adapter):
    """A head that writes. ``labels`` are those of the dataset that the labeller can read."""

    task = "report"
    config: Any  # its recipe is a ReportRecipe

    @abstractmethod
    def write(self, output: EncoderOutput) -> list[str]:
        """One text a film."""

    def predict(self, output: EncoderOutput) -> Reports:
        self.require_films(output)
        labeller = Labeller(self.labels)
        texts = self.write(output)
        return Reports(texts, [labeller.mentions(text) for text in texts])

    def evaluate(self, dataset: Dataset, films: FilmFeatures, masks_to: Path | None = None) -> Evaluation:
        """Each mention against the dataset's labels, and the texts against the references (``scorers``).

        ``f1_of_reference`` is F1 of the reports that people wrote: what the labeller allows at best.
        """
        recipe: ReportRecipe = self.config.recipe
        drafts: list[str] = []
        for _, output in track(films.batches(), "writing reports", total=-(-len(films) // BATCH)):
            drafts += self.write(output)
        references = [chosen_text(text, recipe.sections) for text in texts_of(dataset, films.sample_ids)]
        truth = label_targets(dataset, films.sample_ids, self.labels).double().numpy()
        mentions = self._mentions(drafts)
        reference_mentions = self._mentions([reference or "" for reference in references])
        has_reference = np.array([reference is not None for reference in references], dtype=bool)
        table = identity_columns(dataset, films.sample_ids, self.task).assign(text=drafts, reference=references)
        per_label, notes = {}, {}
        for column, label in enumerate(self.labels):
            target, said = truth[:, column], mentions[:, column]
            table[f"mention_{label}"], table[f"target_{label}"] = said.astype(float), target
            counts = Counts.of(target, said)
            per_label[label] = {
                "n_positive": int((target == 1).sum()),
                "n_negative": int((target == 0).sum()),
                "n_mentioned": int((said & np.isfinite(target)).sum()),
                "f1": counts.f1 if (target == 1).any() else None,
                "balanced_accuracy": counts.balanced_accuracy,
                "accuracy": counts.accuracy,
                "f1_of_reference": Counts.of(target[has_reference], reference_mentions[has_reference, column]).f1,
            }
            if reason := one_class_reason(target):
                notes[label] = f"undefined: {reason}"
        overall = {name: mean_of(row[name] for row in per_label.values()) for name in _FIGURES}
        overall |= figures_against_references(
            [without_headings(draft) for draft in drafts],
            [None if reference is None else without_headings(reference) for reference in references],
            list(table["patient_id"]),
            recipe.scorers,
        )
        return Evaluation(table, per_label, overall, overall["f1"], notes)

    def _mentions(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        labeller = Labeller(self.labels)
        rows = [[labeller.mentions(text)[label] > 0 for label in self.labels] for text in texts]
        return np.array(rows, dtype=bool).reshape(len(texts), len(self.labels))
