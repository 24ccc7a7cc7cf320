import numpy as np
import pytest
import torch

from adapters.base import CommonRecipe
from adapters.targets import (
    UNKNOWN,
    chosen_names,
    films_of,
    label_targets,
    mask_targets,
    teaching_films,
    texts_of,
)
from raydino.artifacts.dataset import Dataset
from raydino.errors import UserError


def test_views_are_chosen_by_name(dataset: Dataset) -> None:
    lateral = films_of(dataset, "train", ["LATERAL"])
    frontal = films_of(dataset, "train", ["PA", "AP", "UNKNOWN"])
    assert lateral
    assert set(dataset.accepted.loc[lateral, "view"]) == {"LATERAL"}
    assert sorted(lateral + frontal) == dataset.sample_ids("train")


def test_an_empty_choice_says_what_is_there(tmp_path: object, dataset: Dataset) -> None:
    manifest = dataset.accepted.assign(view="PA")
    only_pa = Dataset(dataset.path, dataset.header)
    only_pa.__dict__["accepted"] = manifest
    with pytest.raises(UserError, match="test split holds no film of the views LATERAL .*it holds 16 PA"):
        films_of(only_pa, "test", ["LATERAL"])


def test_unknown_stays_unknown(dataset: Dataset) -> None:
    ids = dataset.sample_ids()
    labels = label_targets(dataset, ids, ["Nodule", "Not in this dataset"])
    assert labels.shape == (80, 2)
    assert bool(labels[:, 1].isnan().all())
    np.testing.assert_array_equal(labels[:, 0].numpy(), dataset.labels["Nodule"].to_numpy(np.float32))
    masks = mask_targets(dataset, ids[:4], ["lungs", "heart"], 24)
    assert masks.shape == (4, 2, 24, 24)
    assert bool((masks[3] == UNKNOWN).all())  # every seventh from the fourth on has no masks
    assert set(masks[:3].unique().tolist()) == {0, 1}
    assert [text is None for text in texts_of(dataset, ids[:6])] == [False] * 4 + [True, False]


def test_a_mask_keeps_its_place_and_share_of_the_film(dataset: Dataset) -> None:
    sample_id = dataset.sample_ids()[0]
    mask = dataset.mask("heart", sample_id)
    assert mask is not None
    small = mask_targets(dataset, [sample_id], ["heart"], 24)[0, 0].bool()
    assert float(small.float().mean()) == pytest.approx(mask.mean(), abs=0.02)
    centre = torch.nonzero(small).double().mean(0) / 24
    assert centre.tolist() == pytest.approx((np.argwhere(mask).mean(0) + 0.5) / mask.shape, abs=0.05)


def test_a_name_that_is_not_there_is_one_line_with_the_nearest(dataset: Dataset) -> None:
    assert chosen_names("all", ("a", "b"), what="labels", dataset=dataset) == ["a", "b"]
    with pytest.raises(UserError, match="no labels called 'Nodul'; did you mean 'Nodule'"):
        chosen_names(["Nodul"], dataset.label_names, what="labels", dataset=dataset)
    with pytest.raises(UserError, match="holds no masks"):
        chosen_names("all", (), what="masks", dataset=dataset)


def test_only_films_that_answer_yes_teach(dataset: Dataset) -> None:
    recipe = CommonRecipe(seed=0, views=("PA", "AP", "LATERAL", "UNKNOWN"), only=("sex=F", "age>=40"))
    people = dataset.demographics
    ids = teaching_films(dataset, "train", recipe)
    wanted = people.index[(people["sex"] == "F") & (people["age_years"] >= 40)]
    assert set(ids) == set(wanted) & set(dataset.sample_ids("train"))
    for only, message in (
        (("shoe=40",), "cannot be asked"),
        (("women",), "is no question"),
        (("sex=X",), "no film of"),
    ):
        with pytest.raises(UserError, match=message):
            teaching_films(dataset, "train", recipe.model_copy(update={"only": only}))
