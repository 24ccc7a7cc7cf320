"""The report: self-contained, accessible, complete, and the same figures as in the tables."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

from bias_audit.audit import AuditResult, audit
from bias_audit.axes import choose_axes
from bias_audit.inputs import table_of
from bias_audit.page import shade
from bias_audit.render import write_audit
from bias_audit.settings import AuditConfig, Recipe
from raydino.artifacts.audit import GAPS, STRATA


@pytest.fixture(scope="module")
def result(cohort: pd.DataFrame) -> AuditResult:
    frame = cohort.assign(site=cohort["site"].replace("Lakeside Clinic", "<b>Lake & Clinic</b>"))
    table = table_of(frame.drop(columns="threshold"), "model<script>.csv")
    axes = choose_axes(["sex", "age", "site"], table.groups, (18, 40, 60, 80), skip_absent=False)
    return audit(table, axes, AuditConfig(recipe=Recipe(bootstraps=100)))


@pytest.fixture(scope="module")
def directory(result: AuditResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("audit")
    write_audit(result, path)
    return path


@pytest.fixture(scope="module")
def html(directory: Path) -> str:
    return (directory / "report.html").read_text(encoding="utf-8")


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def outline(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Outline()
    parser.feed(html)
    return parser.tags


def test_no_reference_leaves_the_page(html: str, outline: list) -> None:
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp", html)
    assert not {"link", "iframe", "img", "object"} & {tag for tag, _ in outline}
    assert all("src" not in attrs for _, attrs in outline)
    assert "default-src 'none'" in html
    targets = [attrs["href"] for tag, attrs in outline if tag == "a"]
    ids = {attrs.get("id") for _, attrs in outline}
    assert targets
    assert all(target and target.startswith("#") and target[1:] in ids for target in targets)


def test_headings_captions_and_text_alternatives(html: str, outline: list) -> None:
    levels = [int(tag[1]) for tag, _ in outline if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    tags = [tag for tag, _ in outline]
    assert tags.count("table") == tags.count("caption") > 5
    drawings = [attrs for tag, attrs in outline if tag == "svg"]
    assert len(drawings) == 6 * (3 + 2 * 3)  # forest plots, then ROC and calibration by three axes
    assert all(attrs["role"] == "img" and len(attrs["aria-label"] or "") > 40 for attrs in drawings)
    assert 'lang="en"' in html
    assert 'name="viewport"' in html


def test_user_text_is_escaped(html: str) -> None:
    assert "<b>Lake" not in html
    assert "&lt;b&gt;Lake &amp; Clinic" in html
    assert "model&lt;script&gt;.csv" in html


def test_the_page_says_what_it_must(html: str, result: AuditResult) -> None:
    for text in (
        "Research use only, never a diagnosis.",
        "so a score of 0.5 or more counts as positive",
        "What cannot be said",
        "Patients are drawn, each with all of their films",
        "Benjamini and Hochberg",
        "TRIPOD+AI",
        "FDA draft",
        "Equalized odds",
        "By chance",
        "undecided",
        "not told",
        "seed 0",
    ):
        assert text in html
    assert result.gaps["flagged"].any()
    assert "◆ flagged" in html
    assert all(f"<code>recipe.{name}</code>" in html for name in ("alpha", "margin", "bootstraps", "by", "power"))


def test_the_first_page_adds_up(directory: Path, result: AuditResult) -> None:
    report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    assert sum(report["verdicts"].values()) == len(result.gaps)
    assert report["verdicts"]["different"] == (result.gaps["verdict"] == "different").sum()
    assert sum(row["undecided"] for row in report["cannot_be_said"]) == report["verdicts"]["undecided"]
    sexes = result.cohort[result.cohort["axis"] == "sex"].set_index("stratum")
    missing = {row["axis"]: row for row in report["missing"]}
    assert missing["sex"]["n_images"] == sexes.loc["UNKNOWN", "n_images"]
    assert missing["site"] == {"axis": "site", "n_images": 0, "share": 0.0}
    assert all(row["difference"] > row["by_chance"] for row in report["worst"])
    gaps = result.gaps[(result.gaps["axis"] == "sex") & (result.gaps["metric"] == "auroc")]
    found = next(row for row in report["detectable"] if (row["axis"], row["metric"]) == ("sex", "auroc"))
    assert found["median"] == gaps["detectable"].median()


def test_shades_of_the_heat_map_follow_the_margin() -> None:
    assert shade({"gap": None}, 0.05) == "none"
    assert shade({"gap": -0.04, "direction": "worse"}, 0.05) == "even"
    assert shade({"gap": -0.05, "direction": "worse"}, 0.05) == "worse-1"
    assert shade({"gap": 0.4, "direction": "better"}, 0.05) == "better-3"
    assert shade({"gap": 5.0, "direction": "worse"}, 2.0) == "worse-2"


def test_json_holds_the_tables_and_the_sentences(directory: Path, result: AuditResult) -> None:
    report = json.loads((directory / "report.json").read_text(encoding="utf-8"))
    assert len(report["strata"]) == len(result.strata)
    assert len(report["gaps"]) == len(result.gaps)
    assert len(report["findings"]) == result.gaps["flagged"].sum() > 0
    first = report["findings"][0]
    assert first["explained_by"] is None
    assert f"for {first['label']} was" in first["sentence"]
    assert report["input"]["films"] == len(result.table.films)
    undefined = [row for row in report["strata"] if row["status"] != "ok"]
    assert undefined
    assert all(row["estimate"] is None and row["reason"] for row in undefined)


def test_parquet_tables_follow_their_schema(directory: Path, result: AuditResult) -> None:
    strata, gaps = STRATA.read(directory / "strata.parquet"), GAPS.read(directory / "gaps.parquet")
    assert len(strata) == len(result.strata)
    assert gaps["flagged"].sum() == result.gaps["flagged"].sum()


def test_writing_twice_gives_the_same_bytes(directory: Path, result: AuditResult, tmp_path: Path) -> None:
    write_audit(result, tmp_path)
    for name in ("report.html", "report.json", "strata.parquet", "gaps.parquet"):
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()


def test_a_suppressed_audit_hides_counts_and_still_renders(cohort: pd.DataFrame, tmp_path: Path) -> None:
    table = table_of(cohort[cohort["label"].isin(["Nodule", "No Finding"])], "model.csv")
    axes = choose_axes(["sex", "age"], table.groups, (18, 40, 60, 80), skip_absent=False)
    recipe = Recipe(bootstraps=100, metrics=("auroc", "sensitivity"), suppress_below=30)
    write_audit(audit(table, axes, AuditConfig(recipe=recipe)), tmp_path)
    strata = STRATA.read(tmp_path / "strata.parquet")
    assert strata.loc[strata["status"] == "suppressed", "n_images"].isna().all()
    assert (strata["n_patients"].dropna() >= 30).all()
    assert "hidden" in (tmp_path / "report.html").read_text(encoding="utf-8")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {row["status"] for row in report["strata"] if row["n_images"] is None} == {"suppressed"}
