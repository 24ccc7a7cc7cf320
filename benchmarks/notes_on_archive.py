"""Notes that people wrote of films, and drafts beside them: words in common (ROUGE-L), and the findings that both name.

Only films with a note are asked. A finding counts as named when ``adapters.report.labeller`` reads it as present or
doubtful, in draft and note alike, so the labeller's mistakes weigh on either side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from adapters.report.labeller import Labeller
from adapters.report.metrics.rouge import rouge_l
from adapters.report.metrics.words import words
from adapters.targets import texts_of
from raydino.artifacts.dataset import Dataset

ROUGE = "words of notes"
DECODER = {
    "sections": "all", "prefix_grid": 3, "vocab_size": 600, "width": 96, "depth": 2, "n_heads": 4, "dropout": 0.1,
    "max_tokens": 96, "generation": {"method": "greedy", "repetition_penalty": 1.0, "no_repeat_ngram": 0},
    "epochs": 24, "patience": 10, "batch_size": 32, "learning_rate": 3e-3, "weight_decay": 0.05,
}  # fmt: skip  # of configs/tiny/report.yaml


def named(label: str) -> str:
    """The question of a finding, and the column of answers."""
    return f"{label} named in notes"


def findings_of_notes(dataset: Dataset, ids: Sequence[str]) -> pd.DataFrame:
    """[films, findings that the labeller can read]: 1.0 where the film's note names it, 0.0 where not; NaN: no note."""
    return _findings(dataset, ids, texts_of(dataset, ids))


def drafts_against_notes(dataset: Dataset, ids: Sequence[str], drafts: Sequence[str]) -> pd.DataFrame:
    """[films, ROUGE-L and findings named] of one draft a film, the former NaN where there is no note."""
    notes = texts_of(dataset, ids)
    scores = [
        np.nan if note is None else rouge_l(words(draft), words(note))
        for draft, note in zip(drafts, notes, strict=True)
    ]
    return _findings(dataset, ids, drafts).assign(**{ROUGE: scores})


def most_frequent_note(dataset: Dataset, ids: Sequence[str]) -> str:
    """The note that most films have; the first of them in the alphabet where several are as frequent."""
    counts = Counter(note for note in texts_of(dataset, ids) if note)
    return min(counts, key=lambda note: (-counts[note], note))


def _findings(dataset: Dataset, ids: Sequence[str], texts: Sequence[str | None]) -> pd.DataFrame:
    labeller = Labeller(dataset.label_names)
    silent = dict.fromkeys(labeller.labels, np.nan)
    rows = [silent if text is None else labeller.mentions(text) for text in texts]
    mentions = pd.DataFrame(rows, index=list(ids), columns=list(labeller.labels))
    return mentions.gt(0).astype(float).where(mentions.notna()).rename(columns=named)
