"""An encoder and its adapters, ready to read one film after another::

    from adapters.reading import Reader

    reader = Reader.load("encoder/", ["findings/", "lungs/", "report/"])
    reading = reader.read("film.dcm")
    print(reading.findings["Effusion"].probability, reading.masks["lungs"].mean(), reading.report)

The encoder looks at a film once at each size that adapters ask for, whatever their number. Research use only, never a
diagnosis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType, cast

import numpy as np
import numpy.typing as npt

from adapters.base import Adapter
from adapters.bundle import load_adapter
from adapters.classification.base import Findings
from adapters.regression.base import Measurements
from adapters.report.base import Reports
from adapters.report.contradictions import Contradiction, contradictions
from adapters.report.contradictions import Finding as Compared
from adapters.segmentation.masks import Masks, decided
from raydino.data.one_film import OneFilm, film_of_dicom
from raydino.encoder import Encoder, EncoderOutput
from raydino.errors import UserError
from raydino.train.precision import pick_device

Logit = NewType("Logit", float)  # any real number, before calibration
Probability = NewType("Probability", float)  # 0..1, calibrated on validation films where the adapter's recipe says so


@dataclass(frozen=True)
class Finding(Compared):
    """What is said of one label: ``logit``, calibrated ``probability``, ``threshold`` (its operating point) and, by
    these two, whether it is called ``present``; both are None where validation shows no operating point."""

    probability: Probability
    threshold: Probability | None
    logit: Logit


@dataclass(frozen=True)
class Reading:
    """What the adapters say of one film. What no adapter is there for is empty."""

    film: OneFilm
    findings: dict[str, Finding] = field(default_factory=dict)
    masks: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)  # of the film's size, by structure
    measurements: dict[str, float] = field(default_factory=dict)  # in the unit of the dataset's column, by name
    report: str | None = None  # a draft
    contradictions: tuple[Contradiction, ...] = ()  # sentences of the draft against the findings


class Reader:
    """``adapters`` by their tasks, all fitted on ``encoder``."""

    def __init__(self, encoder: Encoder, adapters: Sequence[Adapter]) -> None:
        if not adapters:
            raise UserError("there is no adapter to read with", remedy="give at least one adapter bundle")
        _require_distinct(adapters)
        self.encoder = encoder.eval()
        self.adapters = tuple(adapters)
        self._blocks = tuple(sorted({block for adapter in adapters for block in adapter.config.recipe.blocks}))

    @classmethod
    def load(cls, encoder: str | Path, adapters: Sequence[str | Path], *, device: str = "auto") -> Reader:
        """Load an encoder artifact (or a run) and adapter bundles. Raises UserError where they do not fit together."""
        target = pick_device(device)
        frozen = Encoder.load(encoder, device=target)
        return cls(frozen, [load_adapter(path, frozen.spec).to(target) for path in adapters])

    def read(self, source: str | Path | bytes) -> Reading:
        """Read one DICOM file, a path or its content. Raises UserError where ingest would have rejected it."""
        return self.read_film(film_of_dicom(source, self.encoder.spec.pixels))

    def read_film(self, film: OneFilm) -> Reading:
        """Read a film that is at hand."""
        device = next(self.encoder.parameters()).device
        sizes = {adapter.spec.image_size for adapter in self.adapters}
        seen = {size: self.encoder(film.view(size).to(device), self._blocks) for size in sizes}
        findings: dict[str, Finding] = {}
        masks: dict[str, npt.NDArray[np.bool_]] = {}
        measurements: dict[str, float] = {}
        report = None
        for adapter in self.adapters:
            said = adapter.predict(self._seen_by(adapter, seen[adapter.spec.image_size]))
            if isinstance(said, Findings):
                findings |= _findings(adapter, said)
            elif isinstance(said, Masks):
                masks |= _masks(adapter, said, film)
            elif isinstance(said, Measurements):
                measurements |= dict(zip(adapter.labels, said.value[0].tolist(), strict=True))
            elif isinstance(said, Reports):
                report = said.text[0]
        contradicted = tuple(contradictions(report, findings)) if report else ()
        return Reading(film, findings, masks, measurements, report, contradicted)

    def _seen_by(self, adapter: Adapter, output: EncoderOutput) -> EncoderOutput:
        places = [self._blocks.index(block) for block in adapter.config.recipe.blocks]
        return output.blocks(places, self.encoder.spec.embed_dim)


def _require_distinct(adapters: Sequence[Adapter]) -> None:
    """Raise UserError where two adapters would say the same thing."""
    names: set[tuple[str, str]] = set()
    for adapter in adapters:
        for label in ("a draft",) if adapter.task == "report" else adapter.labels:
            if (adapter.task, label) in names:
                raise UserError(f"two adapters for {adapter.task} say {label!r}", remedy="give one of them")
            names.add((adapter.task, label))


def _findings(adapter: Adapter, said: Findings) -> dict[str, Finding]:
    """Of the only film of a batch."""
    found = {}
    for column, label in enumerate(adapter.labels):
        point = adapter.thresholds[label]
        found[label] = Finding(
            Probability(float(said.probability[0, column])),
            None if point is None else Probability(point),
            Logit(float(said.logits[0, column])),
        )
    return found


def _masks(adapter: Adapter, said: Masks, film: OneFilm) -> dict[str, npt.NDArray[np.bool_]]:
    """Of the only film of a batch, at its own size."""
    rows, cols = film.pixels.shape
    probability = said.probability[0].cpu().numpy()
    return {
        structure: decided(part, cast(float, adapter.thresholds[structure]), rows, cols)  # masks always have one
        for structure, part in zip(adapter.labels, probability, strict=True)
    }
