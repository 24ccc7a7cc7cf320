"""The page: self-contained, escaped, accessible, and the same figures as the selection's table."""

import base64
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans

from raydino.artifacts.dataset import DEMOGRAPHICS, Dataset
from raydino.artifacts.selection import REASONS, ROWS
from raydino.curation.hierarchy import Hierarchy, Level
from raydino.curation.report import bar, write_report
from raydino.testing.tiny import tiny_dataset

SITE = "<script>alert('x')</script> & \"North\""
SETTINGS = {"recipe": {"n_clusters": [9, 3], "budget": 18, "note": "<b>bold</b>"}, "seed": 7}


def curated(ids: list[str], *, weighted: bool = False) -> tuple[pd.DataFrame, Hierarchy, list[str]]:
    """A selection of ``ids`` by two levels of k-means over random vectors, after one film of each other reason."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(len(ids), 5))
    frame = pd.DataFrame({"sample_id": ids, "reason": None, "duplicate_of": None})
    for row, reason in enumerate(REASONS[:4]):
        frame.loc[row, ["reason", "duplicate_of"]] = [reason, ids[row + 10]]
    clustered = np.arange(4, len(ids))
    fine = KMeans(9, n_init=1, random_state=0).fit(vectors[clustered])
    coarse = KMeans(3, n_init=1, random_state=0).fit(fine.cluster_centers_)
    squared = (fine.transform(vectors[clustered]).min(1) ** 2).astype(np.float32)
    levels = [Level(fit.cluster_centers_.astype(np.float32), fit.labels_.astype(np.int64)) for fit in (fine, coarse)]
    hierarchy = Hierarchy(tuple(levels), squared)
    weight = np.zeros(len(ids))
    if weighted:
        weight[clustered] = 1 / np.bincount(fine.labels_)[fine.labels_]
    else:
        weight[clustered[::2]] = 1
        frame.loc[clustered[1::2], "reason"] = "not_sampled"
    frame["selected"] = weight > 0
    frame["weight"] = weight / weight.sum()
    frame["distance"] = pd.Series(np.sqrt(squared), index=clustered).reindex(frame.index).astype(float)
    for level, clusters in enumerate(hierarchy.paths().T):
        frame[f"cluster_l{level + 1}"] = pd.Series(clusters, clustered, dtype="Int64").reindex(frame.index)
    return frame, hierarchy, [ids[row] for row in clustered]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The tiny dataset, one of whose sites has a hostile name."""
    made = tiny_dataset(tmp_path_factory.mktemp("data") / "dataset")
    people = made.demographics.reset_index(drop=True)
    DEMOGRAPHICS.write(people.assign(site=people["site"].replace("north", SITE)), made.path / "demographics.parquet")
    return Dataset.open(made.path)


@pytest.fixture(scope="module")
def selection(dataset: Dataset) -> pd.DataFrame:
    return curated(list(dataset.accepted.index))[0]


@pytest.fixture(scope="module")
def directory(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    frame, hierarchy, ids = curated(list(dataset.accepted.index))
    ROWS.write(frame, path / "selection.parquet")
    pairs = path / "pairs.png"
    cv2.imwrite(str(pairs), np.zeros((4, 4), np.uint8))
    inputs = {"dataset": "d" * 64, "encoder": "e" * 64}
    write_report(
        path,
        selection=ROWS.read(path / "selection.parquet"),  # as the artifact gives it back
        hierarchy=hierarchy,
        embeddings_ids=ids,
        dataset=dataset,
        settings=SETTINGS,
        inputs=inputs,
        pairs_sheet=pairs,
    )
    return path


@pytest.fixture(scope="module")
def html(directory: Path) -> str:
    return (directory / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def values(directory: Path) -> dict:
    return json.loads((directory / "report.json").read_text(encoding="utf-8"))


class _Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Outline()
    parser.feed(html)
    assert not parser.open
    return parser.tags


def text_of(html: str) -> str:
    """What a reader sees, with single spaces."""
    body = re.sub(r"<[^>]+>", " ", html[html.index("<body>") :])
    return " ".join(body.replace("\u00a0", " ").split())


def test_no_reference_leaves_the_page(html: str) -> None:
    without_pictures = re.sub(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?://|//[a-z]+\.|@import|url\(", without_pictures)
    tags = outline(html)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    sources = [attrs["src"] or "" for tag, attrs in tags if tag == "img"]
    assert sources
    assert all(source.startswith("data:image/") for source in sources)
    ids = {attrs.get("id") for _, attrs in tags}
    assert all((attrs["href"] or "")[1:] in ids for tag, attrs in tags if tag == "a")


def test_what_users_wrote_is_escaped(html: str) -> None:
    assert "<script" not in html
    assert "<b>bold" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &#34;North&#34;" in html


def test_screen_readers_find_their_way(html: str) -> None:
    tags = outline(html)
    assert dict(tags)["html"]["lang"] == "en"
    assert all(attrs.get("scope") for tag, attrs in tags if tag == "th")
    assert sum(tag == "table" for tag, _ in tags) == sum(tag == "caption" for tag, _ in tags)
    assert all("alt" in attrs for tag, attrs in tags if tag == "img")
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    ids = [attrs["id"] for _, attrs in tags if attrs.get("id")]
    assert len(ids) == len(set(ids))


def test_reasons_add_up_to_the_pool(values: dict, selection: pd.DataFrame) -> None:
    rows = {row["reason"]: row for row in values["funnel"]}
    assert list(rows) == [*REASONS, "selected"]
    assert sum(row["n"] for row in rows.values()) == values["pool"] == len(selection)
    for reason in REASONS:
        assert rows[reason]["n"] == (selection["reason"] == reason).sum()
    assert rows["leak"]["left"] == len(selection) - 3
    assert rows["selected"]["n"] == rows["not_sampled"]["left"] == selection["selected"].sum()


def test_axes_add_up_and_patients_are_counted(values: dict, selection: pd.DataFrame, dataset: Dataset) -> None:
    patient = dataset.accepted["patient_id"].reindex(selection["sample_id"]).to_numpy()
    kept = selection["selected"].to_numpy(bool)
    assert values["patients"] == {"before": len(set(patient)), "after": len(set(patient[kept]))}
    for axis in [*values["composition"][1:], *values["labels"]]:
        assert sum(group["before"] for group in axis["groups"]) == len(selection)
        assert sum(group["after"] for group in axis["groups"]) == kept.sum()
    site = next(axis for axis in values["composition"] if axis["name"] == "site")
    hostile = next(group for group in site["groups"] if group["name"] == SITE)
    here = dataset.demographics["site"].reindex(selection["sample_id"]).to_numpy() == SITE
    assert (hostile["before"], hostile["after"]) == (here.sum(), (here & kept).sum())
    assert hostile["ratio"] == pytest.approx((here & kept).sum() / kept.sum() / here.mean())


def test_the_page_says_what_the_figures_say(html: str, values: dict) -> None:
    text = text_of(html)
    assert f"Of {values['pool']} films, {values['selected']} (" in text
    assert "1 exact duplicate, 1 near duplicate, 1 leak" in text
    assert f"films of {values['patients']['before']} patients" in text
    for level in values["levels"]:
        assert f"{level['before']['kl']:.3f} → {level['after']['kl']:.3f}" in text
    assert "Research use only, never a diagnosis." in text
    assert "raydino pretrain CONFIG.yaml --data DATASET --selection SELECTION" in text
    assert "budget: 18" in text
    assert "d" * 64 in text
    assert "race or ethnicity, insurance" in text


def test_pictures_stand_beside_and_inside(directory: Path, html: str) -> None:
    for name in ("sizes_l1.png", "sizes_l2.png", "clusters.png"):
        assert cv2.imread(str(directory / name)) is not None
    for name in ("sizes_l1.png", "sizes_l2.png", "pairs.png"):
        assert base64.b64encode((directory / name).read_bytes()).decode() in html
    films = re.findall(r'<li( class="in")?><img src="data:image/jpeg;base64,([^"]+)"[^>]*title="(\w+), (.+?)"', html)
    assert films
    for kept, jpeg, _, fate in films:
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(jpeg), np.uint8), cv2.IMREAD_UNCHANGED)
        assert picture.shape == (104, 104)
        assert (fate == "selected") == bool(kept)


def test_shown_films_are_the_datasets(html: str, selection: pd.DataFrame) -> None:
    fate = dict(zip(selection["sample_id"], selection["selected"], strict=True))
    shown = re.findall(r'title="(\w+), (selected|left out)"', html)
    assert all(fate[sample_id] == (word == "selected") for sample_id, word in shown)


def test_the_same_work_gives_the_same_bytes(directory: Path, dataset: Dataset, tmp_path: Path) -> None:
    frame, hierarchy, ids = curated(list(dataset.accepted.index))
    inputs = {"dataset": "d" * 64, "encoder": "e" * 64}
    write_report(
        tmp_path,
        selection=frame,
        hierarchy=hierarchy,
        embeddings_ids=ids,
        dataset=dataset,
        settings=SETTINGS,
        inputs=inputs,
        pairs_sheet=directory / "pairs.png",
    )
    for name in ("report.html", "report.json", "clusters.png", "sizes_l1.png"):
        assert (tmp_path / name).read_bytes() == (directory / name).read_bytes()


def write(tmp_path: Path, frame: pd.DataFrame, hierarchy: Hierarchy | None, ids: list[str], **kw: object) -> str:
    write_report(tmp_path, selection=frame, hierarchy=hierarchy, embeddings_ids=ids, settings={}, **kw)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    outline(html)
    return text_of(html)


def test_weights_are_told_and_used(dataset: Dataset, tmp_path: Path) -> None:
    frame, hierarchy, ids = curated(list(dataset.accepted.index), weighted=True)
    text = write(tmp_path, frame, hierarchy, ids, dataset=dataset)
    assert "This selection draws by weight." in text
    values = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert values["weighted"]
    assert values["levels"][0]["after"]["kl"] == pytest.approx(0, abs=1e-9)  # every fine cluster has the same weight
    assert values["effective_films"] < values["selected"]
    sex = next(axis for axis in values["composition"] if axis["name"] == "sex")
    women = dataset.demographics["sex"].reindex(frame["sample_id"]).to_numpy() == "F"
    told = next(group for group in sex["groups"] if group["name"] == "F")
    assert told["share_after"] == pytest.approx(frame["weight"][women].sum())


def test_texts_without_a_dataset_show_their_ids(tmp_path: Path) -> None:
    frame, hierarchy, ids = curated([f"report <{k}>" for k in range(40)])
    text = write(tmp_path, frame, hierarchy, ids, dataset=None)
    assert "Of 40 items" in text
    assert "Most central: report &lt;" in text
    assert "To whom" not in text.replace("What curation did, and to whom", "")
    assert not (tmp_path / "clusters.png").exists()


def test_no_clustering_leaves_the_rest(dataset: Dataset, tmp_path: Path) -> None:
    frame, _, ids = curated(list(dataset.accepted.index))
    frame = frame.drop(columns=["cluster_l1", "cluster_l2"])
    text = write(tmp_path, frame, None, ids, dataset=dataset)
    assert "nothing was clustered" in text
    assert "The tree" not in text
    assert [path.name for path in tmp_path.glob("*.png")] == []


def test_parts_that_do_not_belong_together_are_refused(dataset: Dataset, tmp_path: Path) -> None:
    frame, hierarchy, ids = curated(list(dataset.accepted.index))
    with pytest.raises(ValueError, match="35 ids for a hierarchy of 36"):
        write(tmp_path, frame, hierarchy, ids[1:], dataset=None)
    with pytest.raises(ValueError, match="not that of the selection"):
        write(tmp_path, frame, hierarchy, ids[::-1], dataset=None)
    with pytest.raises(ValueError, match="no reason is called 'boredom'"):
        write(tmp_path, frame.assign(reason=frame["reason"].replace("leak", "boredom")), hierarchy, ids, dataset=None)
    with pytest.raises(ValueError, match="either selected or has a reason"):
        write(tmp_path, frame.assign(selected=True), hierarchy, ids, dataset=None)


@pytest.mark.parametrize(
    ("ratio", "style"),
    [(1.0, "width:0.0%;left:50%"), (2.0, "width:25.0%;left:50%"), (0.5, "width:25.0%;left:25.0%"),
     (9.0, "width:50.0%;left:50%"), (0.0, "width:50.0%;left:0.0%"), (float("nan"), "width:0")],
)  # fmt: skip
def test_bars_are_ratios_on_a_log_scale(ratio: float, style: str) -> None:
    assert bar(ratio) == style
