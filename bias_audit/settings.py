"""The audit's settings, as ``configs/audit/*.yaml`` hold them. Neighbours: ``commands``, ``audit``."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator

from raydino.config import Config

Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]

AGE_BANDS_YEARS: dict[str, tuple[float, ...]] = {  # lower ends; the first band lies below the first
    "default": (18, 40, 60, 80),
    "pediatric_elderly": (2, 6, 12, 18, 65, 75, 85),  # apart where bodies and films change most
    "twenty_years": (20, 40, 60, 80),
}
MARGINS = {"hd95_mm": 2.0, "assd_mm": 1.0, "mae_sd": 0.1}  # in the unit of the metric


class Recipe(Config):
    """Everything that changes the result."""

    by: tuple[str, ...] = ("sex", "age", "site")  # axes to look along; those that the table lacks are left out
    depth: Annotated[int, Field(ge=1)] = 2  # 2 adds each pair of axes, 3 each three of them, …
    age_edges_years: tuple[float, ...] = AGE_BANDS_YEARS["default"]  # lower ends, or a name of AGE_BANDS_YEARS
    metrics: tuple[str, ...] = (
        "auroc",
        "auprc",
        "sensitivity",
        "specificity",
        "underdiagnosis_rate",
        "fnr",
        "fpr",
        "ppv",
        "npv",
        "agreement",
        "brier",
        "ece",
        "calibration_slope",
        "calibration_intercept",
        "net_benefit",
        "prevalence",
        "selection_rate",
        "dice",
        "iou",
        "hd95_mm",
        "assd_mm",
        "mae_sd",
        "mae",
        "mean_error",
    )
    no_finding: str = "No Finding"  # the label that calls a film healthy; case and underscores do not matter
    reference: dict[str, str] = Field(
        default_factory=dict
    )  # axis → the stratum that the others are compared with, beside everyone else
    case_mix: tuple[str, ...] = ()  # axes (and "prevalence") made equal in a second table of gaps; none: no table
    bootstraps: Annotated[int, Field(ge=100)] = 1000
    permutations: Annotated[int, Field(ge=0)] = 0  # swaps of patients' groups that check the p-values; 0: none
    confidence: Fraction = 0.95
    min_patients: Annotated[int, Field(ge=2)] = 20  # patients with a known target, else too_few
    min_positives: Annotated[int, Field(ge=2)] = 5  # patients in each class that a metric needs, else too_few
    suppress_below: Annotated[int, Field(ge=0)] = 0  # hide strata of fewer patients, and what would tell them; 0: off
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.05  # a smaller gap is never flagged, and does not matter
    margins: dict[str, Positive] = Field(default_factory=lambda: dict(MARGINS))  # of metrics with another
    alpha: Fraction = 0.05  # false discovery rate over the whole table of gaps
    power: Fraction = 0.8  # of the smallest gap that a stratum could have shown
    seed: int = 0

    @field_validator("age_edges_years", mode="before")
    @classmethod
    def _named(cls, edges: Any) -> Any:
        if isinstance(edges, str):
            if edges not in AGE_BANDS_YEARS:
                raise ValueError(f"no age bands are called {edges!r}; known: {', '.join(AGE_BANDS_YEARS)}")
            return AGE_BANDS_YEARS[edges]
        return edges

    @field_validator("age_edges_years")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if not edges or list(edges) != sorted(set(edges)) or edges[0] <= 0:
            raise ValueError("ages must be positive and rise")
        return edges

    def margin_of(self, metric: str) -> float:
        """The gap of a metric below which a difference does not matter."""
        return self.margins.get(metric, self.margin)


class Runtime(Config):
    """What must not change the result."""

    block: Annotated[int, Field(ge=1)] = 32  # bootstrap replicates held in memory at once


class About(Config):
    """What a table of predictions cannot tell, in the owner's words; the report prints it, or that it was not told."""

    model: str = ""  # name and version
    intended_use: str = ""
    fairness_definition: str = ""  # which difference matters and why, chosen before looking
    label_source: str = ""  # who said what is true, and how often that is wrong
    training_data: str = ""  # where the model was trained, and whether any patient here was in it
    mitigation: str = ""  # what was tried, and what it cost
    monitoring: str = ""  # what will be watched, how often, and what happens then


class AuditConfig(Config):
    """``configs/audit/default.yaml`` is exactly ``AuditConfig()``."""

    about: About = About()
    recipe: Recipe = Recipe()
    runtime: Runtime = Runtime()
