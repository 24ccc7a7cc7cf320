import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from adapters.fit import fit
from adapters.report.agreement import FOURTEEN
from adapters.report.decoder import DecoderConfig
from adapters.report.metrics.corpus import FIGURES
from adapters.report.scorers import figures_against_references
from raydino import registry
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder
from raydino.errors import UserError
from raydino.features import Features

DRAFTS = ["No effusion.", "Small left effusion.", "Cardiomegaly."]
REFERENCES = ["No pleural effusion.", None, "Mild cardiomegaly. Possible edema."]


def test_films_without_a_reference_count_nowhere() -> None:
    found = figures_against_references(DRAFTS, REFERENCES, ["a", "a", "b"])
    assert found == figures_against_references(DRAFTS[::2], REFERENCES[::2], ["a", "b"])
    assert found["n_references"] == 2
    assert found["f1_to_reference_cardiomegaly"] == 1.0
    assert found["f1_to_reference_edema"] == 0.0
    assert found["f1_to_reference_fracture"] is None
    assert found["bleu_1_low"] <= found["bleu_1"] <= found["bleu_1_high"]
    assert {*FIGURES, *(f"f1_to_reference_{name}" for name in FOURTEEN), "micro_f1_14_present"} <= found.keys()


def test_no_reference_at_all_is_undefined_everywhere() -> None:
    found = figures_against_references(["a"], [None], ["p"])
    assert found.pop("n_references") == 0
    assert set(found.values()) == {None}


def exact(drafts: list[str], references: list[str]) -> dict[str, float | None]:
    """A scorer such as another package might bring."""
    same = [a == b for a, b in zip(drafts, references, strict=True)]
    return {"share": sum(same) / len(same) if same else None, "odd": float("nan")}


@pytest.fixture
def exact_scorer(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules[__name__]
    monkeypatch.setitem(sys.modules, "exact_scorer", module)
    point = EntryPoint("exact", "exact_scorer:exact", "raydino.report_scorers")
    monkeypatch.setattr(registry, "entry_points", lambda group: [p for p in (point,) if p.group == group])


@pytest.mark.usefixtures("exact_scorer")
def test_another_packages_scorer_is_named_in_the_recipe_and_its_figures_are_in_the_metrics(
    report_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    report_values["recipe"] |= {"scorers": ["exact"], "epochs": 1, "max_tokens": 8}
    metrics = fit(DecoderConfig.model_validate(report_values), encoder, dataset, features).metrics
    assert metrics["overall"]["exact_share"] == 0.0
    assert metrics["overall"]["exact_odd"] is None
    assert metrics["overall"]["bleu_1"] is not None


@pytest.mark.usefixtures("exact_scorer")
def test_an_unknown_scorer_is_refused_before_fitting(
    report_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    report_values["recipe"] |= {"scorers": ["exakt"]}
    with pytest.raises(UserError, match="no report scorer is called 'exakt'; did you mean 'exact'"):
        fit(DecoderConfig.model_validate(report_values), encoder, dataset, features)


def test_an_installed_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    info = tmp_path / "third_party-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[raydino.report_scorers]\nlength = third_party:length\n")
    (tmp_path / "third_party.py").write_text("def length(drafts, references):\n    return {'words': 2.0}\n")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from adapters.report.scorers import figures_against_references\n"
        "print(figures_against_references(['a'], ['b'], ['p'], ['length'])['length_words'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2.0"
