"""What a metric is, and the registry of them; undefined is a reason, never 0.

A metric says what a clinician must know of it (``Metric``), gives its value over rows, and names the
``Replicator`` that computes it in every stratum for many bootstrap replicates at once. Three kinds are built in:
functions of sums over films (``sums``), of the order of scores (``ranking``) and a fitted line
(``recalibration``). A third party registers a metric in ``raydino.audit_metrics``; most are a ``sums.MeanMetric``.
Definitions of rates follow fairlearn.metrics and scikit-learn, which the tests hold them to.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, Literal, Protocol

from bias_audit.rows import Bools, Floats, LabelRows, Rows
from raydino.registry import Registry

Better = Literal["higher", "lower"]
Labels = Literal["any", "findings", "no_finding"]
Task = Literal["classification", "segmentation", "report", "regression"]
UNIT = (0.0, 1.0)

UNDEFINED = {
    "positive": "no film with the finding",
    "negative": "every film has the finding",
    "called": "no film is called positive",
    "cleared": "every film is called positive",
}


class Replicator(Protocol):
    """Metrics of one kind over one label's films. Made once a label, called once a block of replicates."""

    def __init__(self, data: LabelRows, metrics: Sequence[Metric], wanted: Bools) -> None:
        """``wanted`` [strata]: those whose figure will be read; others may stay NaN."""

    def __call__(self, drawn: Floats) -> Iterator[tuple[str, Floats, Floats]]:
        """[patients, b] multiplicities → name of a metric, its value [strata, b] inside, and in everyone else.

        NaN where undefined; in everyone else also where no gap of the metric is tested.
        """


@dataclass(frozen=True)
class Metric:
    """What all metrics tell of themselves."""

    name: str
    title: str
    meaning: str  # one line that a clinician reads
    better: Better | None  # None: neither, or the middle is best
    needs: frozenset[str] = frozenset()  # films it needs: keys of UNDEFINED, or a measured column
    tasks: frozenset[Task] = frozenset({"classification"})
    thresholded: bool = False  # whether it depends on who is called positive
    labels: Labels = "any"  # "no_finding": only of the label that calls a film healthy; "findings": of all others
    prevalence_free: bool = True  # whether two groups that differ in prevalence alone have the same value
    mirror_of: str | None = None  # the metric that says the same another way: one test serves both
    limits: tuple[float, float] = UNIT
    no_value: str = "cannot be computed from these films"  # why, where counts suffice and yet there is no value

    replicator: ClassVar[type[Replicator]]

    @property
    def tested(self) -> bool:
        """Whether its gaps are tested. One that moves with prevalence would accuse the case mix, not the model."""
        return self.better is not None and self.prevalence_free and self.mirror_of is None

    @abstractmethod
    def __call__(self, rows: Rows) -> float:
        """The point estimate; NaN where it is undefined."""

    def parts(self, rows: Rows) -> tuple[Floats, ...]:
        """Values of films [n] whose means make up the metric, NaN where a film does not count.

        Their spread gives intervals that do not collapse in small strata. None: the bootstrap stands alone.
        """
        return ()

    @property
    def steps(self) -> bool:
        """Whether it moves in steps of one film, as a share does."""
        return False


METRICS = Registry(
    "audit metric",
    "raydino.audit_metrics",
    {
        "auroc": "bias_audit.ranking:AUROC",
        "auprc": "bias_audit.ranking:AUPRC",
        "sensitivity": "bias_audit.rates:SENSITIVITY",
        "specificity": "bias_audit.rates:SPECIFICITY",
        "fnr": "bias_audit.rates:FNR",
        "fpr": "bias_audit.rates:FPR",
        "underdiagnosis_rate": "bias_audit.rates:UNDERDIAGNOSIS_RATE",
        "balanced_accuracy": "bias_audit.rates:BALANCED_ACCURACY",
        "ppv": "bias_audit.rates:PPV",
        "npv": "bias_audit.rates:NPV",
        "selection_rate": "bias_audit.rates:SELECTION_RATE",
        "agreement": "bias_audit.rates:AGREEMENT",
        "net_benefit": "bias_audit.rates:NET_BENEFIT",
        "prevalence": "bias_audit.rates:PREVALENCE",
        "brier": "bias_audit.calibration:BRIER",
        "ece": "bias_audit.calibration:ECE",
        "calibration_slope": "bias_audit.recalibration:CALIBRATION_SLOPE",
        "calibration_intercept": "bias_audit.recalibration:CALIBRATION_INTERCEPT",
        "dice": "bias_audit.masks:DICE",
        "iou": "bias_audit.masks:IOU",
        "hd95_mm": "bias_audit.masks:HD95",
        "assd_mm": "bias_audit.masks:ASSD",
        "mae_sd": "bias_audit.measurements:MAE_SD",
        "mae": "bias_audit.measurements:MAE",
        "mean_error": "bias_audit.measurements:MEAN_ERROR",
    },
)


@cache
def metric_named(name: str) -> Metric:
    """The registered metric; looked up once, since the report asks for every row."""
    metric: Metric = METRICS.get(name)
    return metric


def same_label(a: str, b: str) -> bool:
    """Whether two labels are the same but for case, spaces, hyphens and underscores."""
    return _plain(a) == _plain(b)


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").replace("-", " ").casefold().split())


def metrics_for(
    names: tuple[str, ...], task: str, label: str, no_finding: str, *, has_threshold: bool = True
) -> list[Metric]:
    """The metrics among ``names`` that apply to ``label`` of ``task``."""
    healthy = same_label(label, no_finding)
    chosen = [metric_named(name) for name in names]
    unwanted = "findings" if healthy else "no_finding"
    applies = [metric for metric in chosen if task in metric.tasks and metric.labels != unwanted]
    return [metric for metric in applies if has_threshold or not metric.thresholded]
