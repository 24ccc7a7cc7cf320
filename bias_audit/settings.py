"""The audit's settings, as ``configs/audit/*.yaml`` hold them. Neighbours: ``commands``, ``audit``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from raydino.config import Config

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Recipe(Config):
    """Everything that changes the result."""

    by: tuple[str, ...] = ("sex", "age", "site")  # axes to look along; those that the table lacks are left out
    depth: Annotated[int, Field(ge=1)] = 2  # 2 adds each pair of axes, 3 each three of them, …
    age_edges_years: tuple[float, ...] = (18, 40, 60, 80)  # lower ends of the bands, the first band lies below
    metrics: tuple[str, ...] = (
        "auroc",
        "sensitivity",
        "specificity",
        "underdiagnosis_rate",
        "ppv",
        "brier",
        "prevalence",
        "dice",
    )
    no_finding: str = "No Finding"  # the label that calls a film healthy; case and underscores do not matter
    bootstraps: Annotated[int, Field(ge=100)] = 1000
    confidence: Fraction = 0.95
    min_patients: Annotated[int, Field(ge=2)] = 20  # patients with a known target, else too_few
    min_positives: Annotated[int, Field(ge=2)] = 5  # patients in each class that a metric needs, else too_few
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05  # a smaller gap is never flagged
    alpha: Fraction = 0.05  # false discovery rate over the whole table of gaps
    seed: int = 0

    @field_validator("age_edges_years")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if not edges or list(edges) != sorted(set(edges)) or edges[0] <= 0:
            raise ValueError("ages must be positive and rise")
        return edges


class Runtime(Config):
    """What must not change the result."""

    block: Annotated[int, Field(ge=1)] = 32  # bootstrap replicates held in memory at once


class AuditConfig(Config):
    """``configs/audit/default.yaml`` is exactly ``AuditConfig()``."""

    recipe: Recipe = Recipe()
    runtime: Runtime = Runtime()
