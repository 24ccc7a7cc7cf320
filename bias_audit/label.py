"""One label's part of the audit's tables: figures, gaps, references, spreads and fairlearn's differences.

Neighbours: ``audit`` puts the labels together; ``gaps``, ``spread`` and ``vocabulary`` make the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bias_audit.case_mix import comparable, confounder_cells, matched_gaps
from bias_audit.counts import count_strata
from bias_audit.estimates import interval_of, makeup_of
from bias_audit.gaps import Comparison, Status
from bias_audit.metrics import Metric
from bias_audit.permutation import permutation_p_values
from bias_audit.replicates import Weights, replicate_all
from bias_audit.rows import Bools, Ints, LabelRows
from bias_audit.settings import AuditConfig
from bias_audit.spread import Figures, alike, largest_difference, smallest_ratio
from bias_audit.strata import StrataIndex
from bias_audit.vocabulary import RATES, fairness_row


class LabelAudit:
    """``unknown`` [strata] films without a known answer; ``hidden`` [strata] suppressed for privacy."""

    def __init__(
        self,
        label: str,
        data: LabelRows,
        unknown: Ints,
        metrics: Sequence[Metric],
        weights: Weights,
        index: StrataIndex,
        config: AuditConfig,
        hidden: Bools,
    ) -> None:
        self.label, self.data, self.unknown, self.index, self.recipe = label, data, unknown, index, config.recipe
        self.metrics, self.hidden, self.weights, self.config = list(metrics), hidden, weights, config
        self.counts, _ = count_strata(data)
        self.axis_of = np.array(index.axes, dtype=object)
        wanted = np.array([self._enough(k) for k in range(len(index))])
        thresholded = any(metric.thresholded for metric in metrics)
        also = [m for m in RATES if thresholded and m.name not in {metric.name for metric in metrics}]
        self.replicates = replicate_all(data, [*metrics, *also], weights, wanted, config.runtime.block)
        self._computed: dict[str, Figures] = {}
        self.comparison = Comparison(data, self.replicates, self.counts, index, config.recipe, hidden)
        self.statuses: dict[str, list[Status]] = {
            metric.name: [self.comparison.status(k, metric) for k in range(len(index))] for metric in metrics
        }

    def _enough(self, k: int) -> bool:
        recipe = self.recipe
        return any(self.counts.status(k, m, recipe.min_patients, recipe.min_positives)[0] == "ok" for m in self.metrics)

    def _ok(self, metric: Metric) -> Bools:
        return np.array([status == "ok" for status, _ in self.statuses[metric.name]])

    def _figures(self, metric: Metric) -> Figures:
        """Of all strata, computed once a metric."""
        if metric.name not in self._computed:
            replicates, patients = self.replicates[metric.name].inside, self.counts.behind(metric)
            makeup, everyone = makeup_of(self.data, metric), float(replicates[0, 0])
            side = makeup.inside if makeup else None
            low, high = interval_of(replicates, side, patients, everyone, metric, self.recipe.confidence)
            rng = np.random.default_rng([self.recipe.seed, *self.label.encode(), *metric.name.encode()])
            drawn = alike(replicates, side, patients, everyone, metric, rng)
            self._computed[metric.name] = Figures(replicates[:, 0], low, high, drawn, everyone)
        return self._computed[metric.name]

    def strata(self) -> pd.DataFrame:
        """Every metric in every stratum."""
        return pd.concat([self._estimates(metric) for metric in self.metrics])

    def _estimates(self, metric: Metric) -> pd.DataFrame:
        ok, estimate = self._ok(metric), np.full(len(self.index), np.nan)
        low = high = estimate
        if ok.any():
            figures = self._figures(metric)
            estimate, low, high = figures.estimate, figures.low, figures.high
        status, reason = zip(*self.statuses[metric.name], strict=True)
        counts = {
            "n_images": self.counts.films["all"],
            "n_patients": self.counts.patients["all"],
            "n_positive": self.counts.films["positive"],
            "n_positive_patients": self.counts.patients["positive"],
            "n_unknown": self.unknown,
        }
        return pd.DataFrame(
            {
                "axis": self.index.axes,
                "stratum": self.index.names,
                "label": self.label,
                "metric": metric.name,
                **{name: pd.arrays.IntegerArray(n, self.hidden.copy()) for name, n in counts.items()},
                "estimate": np.where(ok, estimate, np.nan),
                "ci_low": np.where(ok, low, np.nan),
                "ci_high": np.where(ok, high, np.nan),
                "status": status,
                "reason": reason,
            }
        )

    def gaps(self) -> pd.DataFrame:
        """Every tested metric, stratum against everyone else; a check by permutation where it is asked for."""
        frame = self.comparison.with_rest(self.metrics).assign(label=self.label, p_permutation=np.nan)
        tested = [metric for metric in self.metrics if metric.tested]
        if self.recipe.permutations and len(frame):
            rng = np.random.default_rng([self.recipe.seed, *self.label.encode()])
            found = permutation_p_values(self.data, tested, self.replicates, self.recipe.permutations, rng)
            frame["p_permutation"] = [
                found[name][k] if status == "ok" else np.nan
                for name, k, status in frame[["metric", "stratum_id", "status"]].itertuples(index=False)
            ]
        return frame

    def references(self, reference: Ints) -> pd.DataFrame:
        """Every tested metric, stratum against the ``reference`` [strata] of its axis; -1 where there is none."""
        return self.comparison.with_references(self.metrics, reference).assign(label=self.label)

    def case_mix(self, confounders: Mapping[str, Ints]) -> list[dict[str, object]]:
        """One row a stratum of a plain axis and metric: the gap when everyone else has the stratum's mix.

        ``confounders``: axis → the stratum [n] of each film.
        """
        rows: list[dict[str, object]] = []
        metrics = comparable(self.metrics)
        for k in np.flatnonzero(np.array(self.index.depth) == 1) if confounders else ():
            inside, axis = self.data.inside(int(k)), self.index.axes[k]
            where: dict[str, object] = {"axis": axis, "stratum": self.index.names[k], "label": self.label}
            used = [name for name in confounders if name != axis]
            where["confounders"] = ", ".join(used)
            if self.hidden[k] or not used or not inside.any() or inside.all():
                continue
            cell = confounder_cells(confounders, [axis], self.data.rows.target)
            rows += [where | row for row in matched_gaps(self.data, cell, inside, metrics, self.weights, self.config)]
        return rows

    def spreads(self) -> list[dict[str, object]]:
        """One row an axis and metric."""
        rows = []
        for axis in dict.fromkeys(self.index.axes[1:]):
            for metric in self.metrics:
                row: dict[str, object] = {"axis": axis, "label": self.label, "metric": metric.name}
                strata = np.flatnonzero(self._ok(metric) & (self.axis_of == axis))
                row |= {"n_strata": len(strata), "n_left_out": int((self.axis_of == axis).sum()) - len(strata)}
                if len(strata) > 1:
                    rows.append(row | self._spread(metric, strata) | {"status": "ok", "reason": None})
                else:
                    rows.append(row | {"status": "too_few", "reason": "fewer than two strata have a figure"})
        return rows

    def _spread(self, metric: Metric, strata: Ints) -> dict[str, object]:
        figures, confidence = self._figures(metric), self.recipe.confidence
        sample, values = figures.estimate[strata], figures.estimate
        found = largest_difference([figures.of(strata)], confidence)
        ratio, ratio_low, ratio_high = smallest_ratio(figures.of(strata), confidence)
        highest, lowest = int(strata[np.argmax(sample)]), int(strata[np.argmin(sample)])
        worst = {"higher": self.index.names[lowest], "lower": self.index.names[highest], None: None}[metric.better]
        return {
            "highest": self.index.names[highest],
            "highest_estimate": values[highest],
            "lowest": self.index.names[lowest],
            "lowest_estimate": values[lowest],
            "worst": worst,
            "difference": found.value,
            "difference_low": found.low,
            "difference_high": found.high,
            "ratio": ratio,
            "ratio_low": ratio_low,
            "ratio_high": ratio_high,
            "by_chance": found.by_chance,
            "p_value": found.p_value,
        }

    def fairness(self) -> list[dict[str, object]]:
        """Rows in fairlearn's words, one a plain axis; none where nobody is called positive or negative."""
        if any(metric.name not in self.replicates for metric in RATES):
            return []
        counts, recipe = self.counts, self.recipe
        enough = (
            (counts.patients["all"] >= recipe.min_patients)
            & (counts.patients["positive"] >= recipe.min_positives)
            & (counts.patients["negative"] >= recipe.min_positives)
            & ~self.hidden
        )
        rows = []
        plain = np.array(self.index.depth) == 1
        for axis in dict.fromkeys(self.axis_of[plain]):
            present = (self.axis_of == axis) & (counts.patients["all"] > 0)
            left_out = sorted(self.index.names[k] for k in np.flatnonzero(present & ~enough))
            strata = np.flatnonzero(present & enough)
            rates = {metric.name: self._figures(metric).of(strata) for metric in RATES} if len(strata) > 1 else {}
            row = fairness_row(rates, len(strata), left_out, recipe.confidence)
            rows.append({"label": self.label, "axis": axis} | row)
        return rows
