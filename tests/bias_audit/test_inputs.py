"""Reading: plain tables, artifacts, demographics; each fault is one line that names its place."""

from pathlib import Path

import pandas as pd
import pytest

from bias_audit.inputs import read_table, table_of
from raydino.artifacts.dataset import DATASET, DEMOGRAPHICS, MANIFEST
from raydino.artifacts.header import creating
from raydino.artifacts.predictions import PREDICTIONS, TABLES
from raydino.errors import UserError

GOOD = pd.DataFrame(
    {
        "sample_id": ["a", "b", "c", "d"],
        "patient_id": ["1", "1", "2", "3"],
        "label": "Nodule",
        "target": [1, 0, None, 1],
        "score": [0.9, 0.2, 0.4, 0.6],
        "threshold": 0.3,
        "sex": ["F", "F", "M", None],
    }
)


def written(tmp_path: Path, frame: pd.DataFrame, name: str = "p.csv") -> Path:
    path = tmp_path / name
    if name.endswith("csv"):
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_plain_tables(tmp_path: Path, name: str) -> None:
    table = read_table(written(tmp_path, GOOD, name))
    assert list(table.films["sample_id"]) == ["a", "b", "c", "d"]
    assert table.groups == ("sex",)
    assert list(table.rows["known"]) == [True, True, False, True]
    assert table.thresholds == {"Nodule": (0.3, 0.3)}
    assert table.notes == ()
    assert len(table.inputs[name]) == 64


def test_a_missing_threshold_is_one_half_and_said_so(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, GOOD.drop(columns="threshold")))
    assert set(table.rows["threshold"]) == {0.5}
    assert "0.5" in table.notes[0]


def test_a_label_may_have_no_operating_point(tmp_path: Path) -> None:
    other = GOOD.assign(label="Mass", threshold=None)
    table = read_table(written(tmp_path, pd.concat([GOOD, other])))
    assert table.thresholds == {"Nodule": (0.3, 0.3)}
    assert "No operating point came with Mass" in table.notes[0]


def test_films_without_sample_id_line_up_over_labels_in_any_order() -> None:
    first = GOOD.drop(columns="sample_id")
    both = pd.concat([first, first.assign(label="Mass", score=[0.1, 0.8, 0.3, 0.2])])
    table = table_of(both)
    assert len(table.films) == 4
    again = table_of(both.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(table.films, again.films)


FAULTS = {
    "lacks the column 'score'.*did you mean 'scores'.*found: sample_id": GOOD.rename(columns={"score": "scores"}),
    r"row 2: score is '1.2', not a number from 0 to 1": GOOD.assign(score=[0.9, 1.2, 0.4, 0.6]),
    r"row 3: score is empty": GOOD.assign(score=[0.9, 0.2, None, 0.6]),
    r"row 1: score is 'high', not a number": GOOD.assign(score=["high", 0.2, 0.4, 0.6]),
    r"row 4: target is '-1.0', neither 0 nor 1 nor empty": GOOD.assign(target=[1, 0, None, -1]),
    r"row 2: target is 'yes', not a number": GOOD.assign(target=["1", "yes", "0", "1"]),
    r"row 1: threshold is '7', not a number from 0 to 1": GOOD.assign(threshold=7),
    "some rows of 'Nodule' have no threshold": GOOD.assign(threshold=[0.3, 0.3, None, 0.3]),
    r"row 3: patient_id is empty": GOOD.assign(patient_id=["1", "1", None, "3"]),
    r"row 2: the film 'a' stands twice with the label 'Nodule'": GOOD.assign(sample_id=["a", "a", "c", "d"]),
    r"the patient '1' stands in two splits \(test, val\)": GOOD.assign(split=["test", "val", "test", "test"]),
    r"row 1: age_years is 'old', not a number": GOOD.assign(age="old"),
    r"holds no row": GOOD.iloc[:0],
    r"no row has a known answer": GOOD.assign(target=None),
}


@pytest.mark.parametrize("message", FAULTS, ids=lambda m: m[:30])
def test_faults_of_a_table_are_one_line(tmp_path: Path, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        read_table(written(tmp_path, FAULTS[message]))
    assert "\n" not in str(caught.value)
    assert "p.csv" in str(caught.value)


def test_rows_that_repeat_another_count_once_and_the_report_says_so(tmp_path: Path) -> None:
    table = read_table(written(tmp_path, pd.concat([GOOD, GOOD.iloc[[0, 2]]])))
    assert len(table.rows) == len(GOOD)
    assert table.notes == ("2 rows repeat another row exactly: counted once.",)


def test_a_column_of_another_type_is_named(tmp_path: Path) -> None:
    frame = GOOD.assign(score=[[0.1], [0.2], [0.3], [0.4]])
    with pytest.raises(UserError, match="score") as caught:
        read_table(written(tmp_path, frame, "p.parquet"))
    assert "\n" not in str(caught.value)
    times = GOOD.assign(score=pd.Timestamp("2020-01-01"))
    with pytest.raises(UserError, match="score"):
        read_table(written(tmp_path, times, "p.parquet"))


def test_rows_of_one_film_must_agree_about_its_group(tmp_path: Path) -> None:
    frame = pd.concat([GOOD, GOOD.assign(label="Mass", sex=["M", "F", "M", None])])
    with pytest.raises(UserError, match="the film 'a' has several values of 'sex': F, M"):
        read_table(written(tmp_path, frame))
    owners = pd.concat([GOOD, GOOD.assign(label="Mass", patient_id=["9", "1", "2", "3"])])
    with pytest.raises(UserError, match="the film 'a' belongs to two patients"):
        read_table(written(tmp_path, owners))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_table(tmp_path / "none.csv")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"not parquet")
    with pytest.raises(UserError, match="cannot be read"):
        read_table(broken)
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(UserError, match="the file is empty"):
        read_table(empty)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="cannot be read"):
        read_table(binary)
    with pytest.raises(UserError, match="cannot tell what a '.txt' holds"):
        read_table(written(tmp_path, GOOD).rename(tmp_path / "p.txt"))
    with pytest.raises(UserError, match="not a predictions"):
        read_table(tmp_path)


def predictions(tmp_path: Path, frame: pd.DataFrame, task: str) -> Path:
    path = tmp_path / task
    with creating(path, PREDICTIONS, config={"task": task}) as partial:
        TABLES[task].write(frame, partial / "predictions.parquet")
    return path


def dataset(tmp_path: Path, films: pd.DataFrame) -> Path:
    path = tmp_path / "dataset"
    manifest = films[["sample_id", "patient_id"]].assign(source="test", view="PA", status="accepted")
    for column in MANIFEST.columns:
        if column.name not in manifest:
            manifest[column.name] = None
    with creating(path, DATASET, config={"pixels": {}, "labels": ["Nodule"], "structures": []}) as partial:
        MANIFEST.write(manifest, partial / "manifest.parquet")
        DEMOGRAPHICS.write(films, partial / "demographics.parquet")
    return path


FILMS = pd.DataFrame(
    {
        "sample_id": ["a", "b", "c"],
        "patient_id": ["1", "1", "2"],
        "age_years": [30.0, 31.0, None],
        "sex": ["M", "M", "F"],
        "population": "UNKNOWN",
        "site": ["X", "Y", "X"],
        "race": "UNKNOWN",
        "insurance": "UNKNOWN",
    }
)


def test_artifact_with_demographics_keeps_films_that_the_dataset_lacks(tmp_path: Path) -> None:
    frame = GOOD.drop(columns="sex").assign(split="test", task="classification")
    table = read_table(predictions(tmp_path, frame, "classification"), dataset(tmp_path, FILMS))
    assert set(table.groups) == {"age_years", "sex", "population", "site", "race", "insurance", "view", "manufacturer"}
    assert len(table.films) == 4
    assert table.films["sex"].isna().tolist() == [False, False, False, True]
    assert "1 films are not in the dataset" in table.notes[0]
    assert set(table.inputs) == {"classification", "dataset"}
    assert table.splits == ("test",)


def test_demographics_of_other_films_are_refused(tmp_path: Path) -> None:
    path = dataset(tmp_path, FILMS)
    other = GOOD.assign(sample_id=["w", "x", "y", "z"])
    with pytest.raises(UserError, match="no film of the predictions is in the dataset"):
        read_table(written(tmp_path, other), path)
    with pytest.raises(UserError, match="'a' belongs to another patient"):
        read_table(written(tmp_path, GOOD.assign(patient_id=["8", "8", "2", "3"])), path)
    with pytest.raises(UserError, match="no column 'sample_id'"):
        read_table(written(tmp_path, GOOD.drop(columns="sample_id")), path)


def test_segmentation_knows_the_films_with_a_reference(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            **{"sample_id": ["a", "b", "c"], "patient_id": ["1", "1", "2"], "split": "test", "task": "segmentation"},
            **{
                "label": "lungs",
                "threshold": 0.4,
                "dice": [0.9, None, 0.8],
                "iou": 0.5,
                "hd95_mm": 1.0,
                "assd_mm": 1.0,
            },
        }
    )
    table = read_table(predictions(tmp_path, frame, "segmentation"), dataset(tmp_path, FILMS))
    assert table.task == "segmentation"
    assert table.rows["known"].tolist() == [True, False, True]
    assert table.rows["hd95_mm"].tolist() == [1.0, 1.0, 1.0]


def reports(**findings: float | None) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **{"sample_id": ["a", "b"], "patient_id": ["1", "1"], "split": "test", "task": "report"},
            **{"text": "Clear.", "reference": None},
            **findings,
        }
    )


def test_reports_are_audited_by_what_they_say_of_each_finding(tmp_path: Path) -> None:
    frame = reports(mention_Nodule=[1.0, 0.0], target_Nodule=[1.0, 1.0], mention_Mass=0.0, target_Mass=[None, 0.0])
    table = read_table(predictions(tmp_path, frame, "report"), dataset(tmp_path, FILMS))
    assert table.task == "report"
    rows = table.rows.set_index(["label", "film"])
    assert rows.loc[("Nodule", 0), ["target", "score", "threshold"]].tolist() == [1.0, 1.0, 0.5]
    assert rows.loc[("Nodule", 1), "score"] == 0.0
    assert not rows.loc[("Mass", 0), "known"]
    assert "manufacturer" in table.groups
    assert "text" not in table.groups


def test_reports_without_a_known_finding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="name no finding that the labeller knows"):
        read_table(predictions(tmp_path, reports(), "report"))
