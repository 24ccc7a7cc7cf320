from typing import Any

import numpy as np
import pytest
import torch

from adapters.batches import CondensedFilms, FilmFeatures, Split
from adapters.classification.grid import GridClassifier
from adapters.fit import fit
from adapters.span import products
from raydino.artifacts.dataset import Dataset
from raydino.encoder import Encoder, EncoderOutput
from raydino.errors import UserError
from raydino.features import Features

WORST_SEX = {"kind": "worst_group", "by": ["sex"], "min_patients": 1, "step_size": 0.1}
RATES = {"readouts": ["cls", "cls_mean", "grid_2"], "last_blocks": [1, 2], "learning_rate_factors": [0.1, 1.0]}


@pytest.mark.parametrize(
    ("kind", "last", "factor"), [("cls", 1, 0.1), ("cls_mean", 1, 1.0), ("cls_mean", 2, 0.1), ("grid_2", 1, 1.0)]
)
def test_a_head_of_the_grid_is_that_head_trained_alone_at_its_rate(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features, kind: str, last: int, factor: float
) -> None:
    ids = dataset.sample_ids("train")
    config = config_of("classification_grid", **RATES)
    labels = dataset.label_names
    alone_config = config_of(
        "classification_grid",
        readouts=[kind],
        last_blocks=[last],
        blocks=[-2, -1][-last:],
        learning_rate_factors=[1.0],
        learning_rate=config.recipe.learning_rate * factor,
    )
    together, alone = (GridClassifier(one, encoder.spec, labels) for one in (config, alone_config))
    truth = together.targets(dataset, ids).double()
    exact = Features(both_blocks.sample_ids, EncoderOutput(*(t.double() for t in both_blocks.output)), (-2, -1))
    for adapter in (together.double(), alone.double()):
        films = FilmFeatures(exact, ids, blocks=adapter.config.recipe.blocks)
        adapter.observe(films, truth)
        optimiser = torch.optim.SGD(adapter.parameters(), lr=adapter.config.recipe.learning_rate, momentum=0.9)
        for _ in range(5):
            optimiser.zero_grad()
            adapter.loss(films.read(torch.arange(len(ids))), truth).mean(0).sum().backward()
            optimiser.step()
    together.keep(RATES["readouts"].index(kind) * 4 + RATES["last_blocks"].index(last) * 2 + [0.1, 1.0].index(factor))
    assert together.config.recipe.blocks == alone.config.recipe.blocks == (-2, -1)[-last:]
    output = FilmFeatures(exact, ids, blocks=together.config.recipe.blocks).read(torch.arange(9))
    torch.testing.assert_close(together(output), alone(output), rtol=1e-4, atol=1e-7)  # √f is a float32


def test_the_head_that_a_fit_keeps_is_that_head_fitted_alone(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    exact = Features(both_blocks.sample_ids, EncoderOutput(*(t.double() for t in both_blocks.output)), (-2, -1))

    def fitted(config: Any) -> tuple[GridClassifier, dict[str, Any]]:
        adapter = GridClassifier(config, encoder.spec, dataset.label_names).double()
        splits = []
        for name in ("train", "val"):
            films = FilmFeatures(exact, dataset.sample_ids(name), blocks=config.recipe.blocks)
            truth = adapter.targets(dataset, films.sample_ids).double()
            splits.append(Split(CondensedFilms(films, adapter.condense), truth))
        adapter.observe(splits[0].films, splits[0].targets)
        return adapter, adapter.learn(*splits, torch.Generator().manual_seed(0))

    config = config_of("classification_grid", learning_rate_factors=[0.1, 0.5, 1.0])
    together, history = fitted(config)
    kept = together.config.recipe
    (factor,) = kept.learning_rate_factors
    settings = kept.model_copy(update={"learning_rate_factors": (1.0,), "learning_rate": kept.learning_rate * factor})
    alone, history_alone = fitted(config.model_copy(update={"recipe": settings}))
    assert history["best_epoch"] == history_alone["best_epoch"]
    assert history["loss"] == pytest.approx(history_alone["loss"], rel=1e-6)
    output = FilmFeatures(exact, dataset.sample_ids("test"), blocks=kept.blocks).read(torch.arange(9))
    torch.testing.assert_close(together(output), alone(output), rtol=1e-4, atol=1e-7)  # √f is a float32


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("objective", [{"kind": "mean"}, WORST_SEX])
def test_descent_in_products_of_films_takes_the_steps_of_descent_in_features(
    config_of: Any,
    encoder: Encoder,
    dataset: Dataset,
    both_blocks: Features,
    monkeypatch: pytest.MonkeyPatch,
    objective: dict[str, Any],
    weight_decay: float,
) -> None:
    people = dataset.demographics.assign(sex=np.resize(["F", "M", "M"], len(dataset.demographics)))
    dataset = Dataset(dataset.path, dataset.header)
    dataset.__dict__.update(demographics=people)
    config = config_of(
        "classification_grid", epochs=12, weight_decay=weight_decay, objective=objective, learning_rate=1.0
    )
    calls = []
    monkeypatch.setattr("adapters.classification.grid.products", lambda *one: calls.append(one) or products(*one))
    spanned = fit(config, encoder, dataset, both_blocks)
    assert len(calls) == 1
    monkeypatch.setattr("adapters.classification.grid.SPAN_BYTES", 0)
    plain = fit(config, encoder, dataset, both_blocks)
    assert len(calls) == 1
    for part in ("best_epoch", "epochs", "head"):
        assert spanned.metrics[part] == plain.metrics[part]
    assert spanned.metrics["loss"] == pytest.approx(plain.metrics["loss"], rel=1e-4)
    assert ("groups" in plain.metrics) == (objective["kind"] == "worst_group")
    output = FilmFeatures(both_blocks, dataset.sample_ids("test"), blocks=plain.adapter.config.recipe.blocks)
    every = torch.arange(len(output))
    torch.testing.assert_close(
        spanned.adapter(output.read(every)), plain.adapter(output.read(every)), rtol=1e-3, atol=1e-4
    )


def test_features_that_differ_by_rounding_alone_tell_no_film_from_another(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    noise = torch.Generator().manual_seed(0)
    same = EncoderOutput(*(one[:1] + 1e-7 * torch.randn(one.shape, generator=noise) for one in both_blocks.output))
    config = config_of("classification_grid", epochs=3)
    adapter = fit(config, encoder, dataset, Features(both_blocks.sample_ids, same, both_blocks.blocks)).adapter
    films = FilmFeatures(both_blocks, dataset.sample_ids("test"), blocks=adapter.config.recipe.blocks)  # which differ
    said = adapter.predict(films.read(torch.arange(9)))
    assert said.logits.isfinite().all()
    torch.testing.assert_close(said.logits, said.logits[:1].expand_as(said.logits))


def test_a_head_that_diverges_loses_and_harms_no_other(
    config_of: Any, encoder: Encoder, dataset: Dataset, both_blocks: Features
) -> None:
    config = config_of("classification_grid", learning_rate_factors=[1e38, 1.0], epochs=3)
    fitted = fit(config, encoder, dataset, both_blocks)
    assert fitted.adapter.config.recipe.learning_rate_factors == (1.0,)
    assert fitted.metrics["overall"]["auroc"] > 0.6


def test_more_blocks_than_are_read_and_features_without_them_are_one_line(
    config_of: Any, encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    with pytest.raises(ValueError, match="last_blocks asks for 4 blocks"):
        config_of("classification_grid", last_blocks=[1, 4])
    with pytest.raises(ValueError, match=r"last_blocks rise, such as \[1, 4\]; they are \[2, 1\]"):
        config_of("classification_grid", last_blocks=[2, 1])
    with pytest.raises(UserError, match=r"run raydino embed again with --blocks=-2,-1"):
        fit(config_of("classification_grid"), encoder, dataset, features)
