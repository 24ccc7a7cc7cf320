"""What can be done to a fitted model's scores and calls by group, without touching the model: the methods.

Each is fitted on validation films of one label, group by group, and needs the group of every later film at the time of
decision. A third party adds one in the entry-point group ``raydino.audit_mitigations``. What is made equal is the true
positive rate, or for the No Finding label the false positive rate: a sick patient called healthy is missed.
Neighbours: ``mitigation`` (the caller, which also counts whether a group has enough patients).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.base import BaseEstimator

from bias_audit.recalibration import AWAY, fit
from bias_audit.rows import Bools, Floats
from raydino.errors import UserError
from raydino.registry import Registry

Rate = Literal["true_positive_rate", "false_positive_rate"]
Groups = npt.NDArray[np.object_]


@dataclass(frozen=True)
class GroupedFilms:
    """Films of one label; all [n]. ``target`` is 1 or 0, or NaN where it is not known (never in fitting)."""

    target: Floats
    score: Floats  # 0..1
    threshold: Floats  # a film is called where its score is at or above
    group: Groups

    def of(self, group: str) -> GroupedFilms:
        """Those of one group."""
        return self.where(self.group == group)

    def where(self, chosen: Bools) -> GroupedFilms:
        """Some of them."""
        return GroupedFilms(*(getattr(self, name)[chosen] for name in ("target", "score", "threshold", "group")))


@dataclass(frozen=True)
class Treatment:
    """A fitted method: ``apply`` gives films their new scores and thresholds; ``settings`` tells what was fitted."""

    apply: Callable[[GroupedFilms], tuple[Floats, Floats]]
    settings: dict[str, str]  # group → in words


class Method(Protocol):
    """Fits on films of groups that have enough patients; ``rate`` is what to make equal, ``seed`` is for coins."""

    def __call__(self, films: GroupedFilms, groups: Sequence[str], rate: Rate, seed: int) -> Treatment:
        """Films of other groups are left as they are."""


def group_thresholds(films: GroupedFilms, groups: Sequence[str], rate: Rate, seed: int) -> Treatment:
    """A threshold a group, at which its rate on validation is nearest to that of all of them before."""
    cls = 1.0 if rate == "true_positive_rate" else 0.0
    pooled = films.where((films.target == cls) & np.isin(films.group, list(groups)))
    wanted = float((pooled.score >= pooled.threshold).mean())
    chosen = {group: nearest_threshold(pooled.of(group), wanted) for group in groups}

    def apply(new: GroupedFilms) -> tuple[Floats, Floats]:
        own = [chosen.get(group, before) for group, before in zip(new.group, new.threshold, strict=True)]
        return new.score, np.array(own, np.float64)

    return Treatment(apply, {group: f"called from a score of {value:.4g}" for group, value in chosen.items()})


def nearest_threshold(films: GroupedFilms, wanted: float) -> float:
    """The threshold, midway between two scores, that calls a share of films nearest to ``wanted``.

    Of two that are as near, the one nearer to the films' own threshold.
    """
    score = np.unique(films.score)
    cut = np.concatenate([score[:1], (score[1:] + score[:-1]) / 2, [np.nextafter(score[-1], 2)]])
    called = 1 - np.searchsorted(np.sort(films.score), cut, side="left") / len(films.score)
    far = np.abs(called - wanted)
    near = far <= far.min() + 1e-12
    best = cut[near][np.argmin(np.abs(cut[near] - np.median(films.threshold)))]
    return float(min(best, 1.0))


def group_calibration(films: GroupedFilms, groups: Sequence[str], rate: Rate, seed: int) -> Treatment:
    """Platt's line a group: P = σ(offset + slope · logit(score)); one line over everyone moves the thresholds along.

    So a calibrated score of a half means the same in each group. Groups left out get everyone's line.
    """
    everyone = platt(films)
    if everyone is None:
        raise UserError("no line of calibration fits its scores: all 0 or 1, of one value, or wholly separate")
    lines = {group: line for group in groups if (line := platt(films.of(group))) is not None}

    def apply(new: GroupedFilms) -> tuple[Floats, Floats]:
        line = np.array([lines.get(group, everyone) for group in new.group]).reshape(-1, 2)
        return _on_line(new.score, line), _on_line(new.threshold, np.array([everyone]))

    words = {group: f"offset {line[0]:.3g}, slope {line[1]:.3g}" for group, line in lines.items()}
    return Treatment(apply, dict.fromkeys(groups, "no line fits: that of everyone") | words)


def platt(films: GroupedFilms) -> tuple[float, float] | None:
    """Offset and slope; None where no line fits, or it falls."""
    x = np.stack([np.ones(len(films.score)), _logit(films.score)], axis=1)
    offset, slope = fit(films.target, x, np.zeros(len(x)), np.array([0.0, 1.0]))
    return (float(offset), float(slope)) if slope > 0 else None


def _logit(score: Floats) -> Floats:
    return np.asarray(logit(np.clip(score, AWAY, 1 - AWAY)))


def _on_line(score: Floats, line: Floats) -> Floats:
    return np.asarray(expit(line[:, 0] + line[:, 1] * _logit(score)))


class _Scores(BaseEstimator):  # type: ignore[misc]
    """A model for fairlearn whose prediction is the score that it is given."""

    def fit(self, X: Any, y: Any) -> _Scores:
        return self

    def predict(self, X: Any) -> Floats:
        return np.asarray(X, np.float64)[:, 0]


def _optimised(films: GroupedFilms, groups: Sequence[str], constraint: str, seed: int) -> Treatment:
    """fairlearn's ThresholdOptimizer (Hardt 2016) for the best balanced accuracy under ``constraint``.

    It may toss a coin between two thresholds of a group; the seed decides it, film by film.
    """
    from fairlearn.postprocessing import ThresholdOptimizer

    kept = films.where(np.isin(films.group, list(groups)))
    optimiser = ThresholdOptimizer(
        estimator=_Scores(),
        constraints=constraint,
        objective="balanced_accuracy_score",
        prefit=True,
        predict_method="predict",
    )
    with warnings.catch_warnings():  # it doubts that ours is fitted, and warns of ties
        warnings.simplefilter("ignore")
        optimiser.fit(kept.score[:, None], kept.target.astype(int), sensitive_features=kept.group.astype(str))

    def apply(new: GroupedFilms) -> tuple[Floats, Floats]:
        score, threshold = new.score.copy(), new.threshold.copy()
        known = np.isin(new.group, list(groups))
        if known.any():
            called = optimiser.predict(
                score[known][:, None], sensitive_features=new.group[known].astype(str), random_state=seed
            ).astype(bool)
            score[known], threshold[known] = called_as(score[known], called)
        return score, threshold

    rules = optimiser.interpolated_thresholder_.interpolation_dict
    return Treatment(apply, {group: _rule(rules[group]) for group in groups})


def called_as(score: Floats, called: Bools) -> tuple[Floats, Floats]:
    """Scores and thresholds, both within 0..1, at which exactly the films ``called`` are called."""
    below = np.where(called, score, np.minimum(score, np.nextafter(1.0, 0.0)))
    return below, np.where(called, below, np.nextafter(below, 2.0))


def _rule(rule: Any) -> str:
    told = [
        f"{100 * rule[f'p{k}']:.0f} % called from a score of {rule[f'operation{k}'].threshold:.4g}"
        for k in (0, 1)
        if rule[f"p{k}"] >= 0.005
    ]
    mixed = float(rule.get("p_ignore", 0))
    return ", ".join(told) + (
        f"; {100 * mixed:.0f} % by a coin of {rule['prediction_constant']:.2f}" if mixed > 0.005 else ""
    )


def equal_opportunity(films: GroupedFilms, groups: Sequence[str], rate: Rate, seed: int) -> Treatment:
    """One true (of No Finding: false) positive rate for all groups, by fairlearn's optimiser."""
    return _optimised(films, groups, f"{rate}_parity", seed)


def equalized_odds(films: GroupedFilms, groups: Sequence[str], rate: Rate, seed: int) -> Treatment:
    """One true and one false positive rate for all groups, by fairlearn's optimiser."""
    return _optimised(films, groups, "equalized_odds", seed)


METHODS = Registry(
    "mitigation",
    "raydino.audit_mitigations",
    {
        name: f"bias_audit.treatments:{name}"
        for name in ("group_thresholds", "group_calibration", "equal_opportunity", "equalized_odds")
    },
)
