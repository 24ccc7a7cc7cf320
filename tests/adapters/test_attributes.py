import numpy as np
import pytest

from adapters.attributes import Attribute
from adapters.targets import chosen_labels, label_targets
from raydino.artifacts.dataset import Dataset
from raydino.errors import UserError


def test_questions_are_answered_and_unknown_stays_unknown(dataset: Dataset) -> None:
    ids = dataset.sample_ids()
    found = label_targets(dataset, ids, ["sex=F", "view=PA", "age>=50", "30<=age<50", "Nodule"]).numpy()
    people, films = dataset.demographics.loc[ids], dataset.accepted.loc[ids]
    for row, sample_id in enumerate(ids):
        sex, view, age = people.loc[sample_id, "sex"], films.loc[sample_id, "view"], people.loc[sample_id, "age_years"]
        expected = [
            np.nan if sex == "UNKNOWN" else float(sex == "F"),
            np.nan if view == "UNKNOWN" else float(view == "PA"),
            np.nan if np.isnan(age) else float(age >= 50),
            np.nan if np.isnan(age) else float(30 <= age < 50),
            dataset.labels.loc[sample_id, "Nodule"],
        ]
        np.testing.assert_array_equal(found[row], np.array(expected, np.float32))
    assert np.isnan(found[:, :3]).any(axis=0).all()


def test_ordinary_names_are_no_questions_and_a_foreign_column_is_one_line(dataset: Dataset) -> None:
    assert Attribute.of("Pleural Effusion") is None
    assert Attribute.of("age>=45.5") == Attribute("age_years", (45.5, np.inf))
    assert Attribute.of("age<18") == Attribute("age_years", (0, 18))
    assert Attribute.of("18<=age<40") == Attribute("age_years", (18, 40))
    assert Attribute.of("age<=18") is None
    assert chosen_labels(["Nodule", "sex=F"], dataset) == ["Nodule", "sex=F"]
    assert chosen_labels("all", dataset) == list(dataset.label_names)
    with pytest.raises(UserError, match="did you mean 'sex'"):
        chosen_labels(["sexx=F"], dataset)
    with pytest.raises(UserError, match="no labels called 'Nodul'; did you mean 'Nodule'"):
        chosen_labels(["sex=F", "Nodul"], dataset)
