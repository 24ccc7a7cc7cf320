"""A suite on paper: which adapter is fitted on which data set, what is predicted, and which figure sums it up."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from adapters.base import AdapterConfig
from adapters.configs import load_adapter_config
from raydino.config import Config, load_config


class Literature(Config):
    """A published figure: in the table only where somebody read it at its source."""

    value: float
    source: str = Field(min_length=1)  # paper, table or page


class SuiteTask(Config):
    """One line of the table."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")  # of its folder
    about: str  # of the paper's tasks, the one that this line belongs to
    config: str  # file of the adapter, from the suite file's folder
    overrides: tuple[str, ...] = ()  # key=value on top of it, as --set
    data: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")  # whose train and val splits it is fitted on: NAME of --data
    predicted: str | None = None  # the data set that is predicted, untouched before, where it is another
    split: Literal["val", "test"]  # that is predicted
    figure: str  # of metrics.json: auroc, dice, mae, …
    literature: Literature | None = None

    @property
    def tested_on(self) -> str:
        """Name of the data set that is predicted."""
        return self.predicted or self.data

    def adapter(self, beside: Path, seed: int) -> AdapterConfig:
        """The adapter's config of one fit. Raises UserError."""
        return load_adapter_config(beside / self.config, (*self.overrides, f"recipe.seed={seed}"))


class Suite(Config):
    """``seeds``: fits of each task, with seeds 0, 1, …"""

    seeds: int = Field(gt=0)
    tasks: tuple[SuiteTask, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [task.name for task in self.tasks]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two tasks are called {min(twice)!r}")
        return self


def load_suite(path: Path) -> Suite:
    """Raises UserError for what does not hold, in the configs that it names too: nothing is fitted before all hold."""
    suite = load_config(path, Suite)
    for task in suite.tasks:
        task.adapter(path.parent, 0)
    return suite
