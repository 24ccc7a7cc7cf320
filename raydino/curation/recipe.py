"""What a curation config says: how vectors are made, what is removed, how the rest is clustered and sampled."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from raydino.config import Config
from raydino.curation.fair_shares import Pick
from raydino.curation.resampling import LevelRecipe
from raydino.readout import Readout


class Duplicates(Config):
    """Copies and leaks: ``duplicates.py`` decides, ``thresholds.py`` calibrates."""

    # films: registered pixels; vectors: cosines, for whoever has no films
    compare: Literal["films", "vectors"] = "films"
    threshold: Literal["calibrated"] | Annotated[float, Field(ge=-1, le=1)] = "calibrated"
    false_merge_rate: float = Field(default=0.005, gt=0, lt=1)  # of the calibrated threshold
    neighbours: int = Field(default=16, gt=0)  # that each film is compared with; 64 in DINOv2, by vectors
    leaks: Literal["component", "patient"] = "patient"  # what leaves with a film that leaks

    @model_validator(mode="after")
    def _calibrated_on_films(self) -> Duplicates:
        if self.compare == "vectors" and self.threshold == "calibrated":
            raise ValueError("vectors alone cannot be calibrated: give a threshold, or compare films")
        return self


class BySample(Config):
    """The ``k`` nearest of each query."""

    by: Literal["sample"]
    k: PositiveInt
    at_most: PositiveInt | None = None  # of one query set


class ByCluster(Config):
    """``of_each`` of each cluster that holds more than ``more_than`` queries."""

    by: Literal["cluster"]
    n_clusters: PositiveInt
    more_than: NonNegativeInt = 3
    of_each: PositiveInt = 10_000
    at_most: PositiveInt | None = None  # of one query set


class Subset(Config):
    """A hard subset: some films are read, alike, and the others never."""

    use: Literal["subset"]
    budget: PositiveInt | Annotated[float, Field(gt=0, lt=1)]  # films, or a share of the pool
    over: Literal["all_levels", "finest_level"] = "all_levels"  # the paper's hierarchical sampling, or flat
    leaf: Pick = "random"


class Weights(Config):
    """Every film stays, and is drawn as often as its weight says: balanced batches."""

    use: Literal["weights"]
    balance: float = Field(default=1.0, ge=0, le=1)  # 0: as often as any other; 1: clusters of each level alike


class CurateRecipe(Config):
    """Everything that changes the selection. What is null is not done."""

    seed: int = Field(default=0, ge=0)
    readout: Readout = "cls_mean"  # of an encoder's tokens; means nothing for vectors that come as such
    metric: Literal["cosine", "l2"] = "cosine"
    duplicates: Duplicates | None = None
    retrieval: Annotated[BySample | ByCluster, Field(discriminator="by")] | None = None
    levels: tuple[LevelRecipe, ...] = ()  # the finest first
    sampling: Annotated[Subset | Weights, Field(discriminator="use")] | None = None

    @property
    def needs_vectors(self) -> bool:
        """Whether anything is asked for beyond the comparison of films."""
        by_vectors = self.duplicates is not None and self.duplicates.compare == "vectors"
        return bool(self.levels) or self.retrieval is not None or by_vectors

    @model_validator(mode="after")
    def _whole(self) -> CurateRecipe:
        if bool(self.levels) != (self.sampling is not None):
            raise ValueError("levels and sampling go together: clusters to balance over, and how to draw from them")
        if self.duplicates is None and self.retrieval is None and not self.levels:
            raise ValueError("nothing to do: give duplicates, retrieval, or levels and sampling")
        return self


class CurateRuntime(Config):
    """What must not change the selection."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    batch_size: int = Field(default=64, gt=0)  # films encoded at a time


class CurateConfig(Config):
    """A file of configs/curate/."""

    recipe: CurateRecipe
    runtime: CurateRuntime = CurateRuntime()
