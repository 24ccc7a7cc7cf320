"""Columns of other people's tables: mapped by flag or YAML, wide or long, and a guess to start from."""

from pathlib import Path

import pandas as pd
import pytest

from bias_audit.inputs import read_table, table_of
from bias_audit.mapping import Mapping, guess_mapping, mapping_yaml, with_columns
from raydino.config import load_config
from raydino.errors import UserError

LONG = pd.DataFrame(
    {
        "PatientID": ["1", "2", "3"],
        "image": ["a", "b", "c"],
        "finding": "Nodule",
        "truth": [1, 0, 1],
        "prob_pneumonia": [0.9, 0.2, 0.6],
        "Gender": ["F", "M", "F"],
        "age": ["045Y", "6M", "45"],
        "note": ["x", "y", "z"],
    }
)
WIDE = pd.DataFrame(
    {
        "subject_id": ["1", "1", "2"],
        "prob_nodule": [0.9, 0.2, 0.6],
        "label_nodule": [1, 0, None],
        "prob_Pleural Effusion": [0.1, 0.3, 0.4],
        "label_Pleural Effusion": [0, 0, 1],
        "sex": ["F", "F", "M"],
    }
)


def test_flags_rename_columns_and_the_report_will_say_so() -> None:
    flags = ["score=prob_pneumonia", "target=truth", "label=finding", "patient_id=PatientID", "sample_id=image"]
    table = table_of(LONG, "long.csv", with_columns(Mapping(leave_out=("note",)), [*flags, "sex = Gender"]))
    assert table.rows["score"].tolist() == [0.9, 0.2, 0.6]
    assert table.groups == ("age_years", "sex")
    assert table.films["age_years"].tolist() == [45.0, 0.5, 45.0]
    assert "score is prob_pneumonia" in table.notes[0]
    assert any("2 rows give the age with a unit, as '045Y'" in note for note in table.notes)


def test_a_column_a_finding_becomes_a_row_a_finding() -> None:
    mapping = guess_mapping(list(WIDE.columns))
    assert set(mapping.findings) == {"Nodule", "Pleural effusion"}
    assert mapping.columns == {"patient_id": "subject_id"}
    table = table_of(WIDE, "wide.csv", mapping)
    rows = table.rows.set_index(["label", "film"])
    assert len(table.films) == 3
    assert rows.loc[("Nodule", 0), ["target", "score"]].tolist() == [1.0, 0.9]
    assert not rows.loc[("Nodule", 2), "known"]
    assert rows.loc[("Pleural effusion", 2), ["target", "score"]].tolist() == [1.0, 0.4]
    assert table.groups == ("sex",)
    assert any("read as a row a finding" in note for note in table.notes)


@pytest.mark.parametrize("frame", [LONG, WIDE], ids=["long", "wide"])
def test_the_example_that_is_written_can_be_read_again(tmp_path: Path, frame: pd.DataFrame) -> None:
    columns = [str(name) for name in frame.columns]
    path = tmp_path / "mapping.yaml"
    path.write_text(mapping_yaml(guess_mapping(columns), columns, "table.csv"), encoding="utf-8")
    again = load_config(path, Mapping)
    assert again.columns == guess_mapping(columns).columns
    assert set(again.findings) == set(guess_mapping(columns).findings)
    assert all(finding.threshold == 0.5 for finding in again.findings.values())


def test_an_example_of_a_table_that_says_nothing_names_what_is_needed(tmp_path: Path) -> None:
    text = mapping_yaml(guess_mapping(["a", "b"]), ["a", "b"], "t.csv")
    assert text.count("# needed; no column looks like it") == 4
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    assert load_config(tmp_path / "m.yaml", Mapping) == Mapping()


FAULTS = {
    "has no column 'prob_pneumona'.*did you mean 'prob_pneumonia'": Mapping(columns={"score": "prob_pneumona"}),
    "findings.Mass.target of the mapping": Mapping(findings={"Mass": {"score": "prob_pneumonia", "target": "q"}}),
}


@pytest.mark.parametrize("message", FAULTS, ids=lambda m: m[:20])
def test_faults_name_the_column(message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        table_of(LONG, "long.csv", FAULTS[message])
    assert "\n" not in str(caught.value)


def test_a_flag_of_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="write it as --column score=prob_pneumonia"):
        with_columns(Mapping(), ["score"])
    with pytest.raises(UserError, match="needs no mapping"):
        read_table(tmp_path, mapping=Mapping(columns={"score": "x"}))
