import dataclasses
from typing import Any

import pytest
import torch

from adapters.batches import FilmFeatures
from adapters.report.decoder import DecoderConfig, ReportDecoder
from adapters.report.labeller import Labeller
from adapters.report.tokenizer import BOS, NOTHING
from raydino.artifacts.dataset import Dataset
from raydino.config import parse_config
from raydino.encoder import Encoder, EncoderOutput
from raydino.errors import UserError
from raydino.features import Features


def _begin(values: dict[str, Any], encoder: Encoder, dataset: Dataset, **recipe: object) -> ReportDecoder:
    values["recipe"] |= recipe
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ReportDecoder.begin(DecoderConfig.model_validate(values), encoder.spec, dataset).eval()


def _films(features: Features, dataset: Dataset, n: int) -> tuple[list[str], EncoderOutput]:
    ids = list(dataset.reports.index[:n])
    return ids, FilmFeatures(features, ids).read(torch.arange(n))


def test_the_loss_is_transformers_own_on_text_plus_that_of_the_findings(
    report_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    adapter = _begin(report_values, encoder, dataset)
    ids, output = _films(features, dataset, 4)
    target = adapter.targets(dataset, ids)
    n_labels = len(adapter.labels)
    with torch.no_grad():
        found = adapter.loss(output, target)[:, 0]
        for row in range(4):
            one = EncoderOutput(*(t[row : row + 1] for t in output))
            mentioned, words = target[row, :n_labels], target[row, n_labels:]
            text = words[words != NOTHING][None]
            prefix = adapter.film(one)[0]
            embedded = torch.cat([prefix, adapter.language_model.get_input_embeddings()(text)], dim=1)
            silent = torch.full((1, prefix.shape[1] + 1), -100)  # prefix and bos are given, not foretold
            labels = torch.cat([silent, text[:, 1:]], dim=1)
            expected = adapter.language_model(inputs_embeds=embedded, labels=labels).loss
            probability = adapter(one, text)[1].sigmoid()[0]
            expected = expected - torch.where(mentioned == 1, probability, 1 - probability).log().mean()
            torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-5)


def test_targets_are_what_the_report_mentions_and_its_tokens(
    report_values: dict[str, Any], encoder: Encoder, dataset: Dataset
) -> None:
    adapter = _begin(report_values, encoder, dataset, max_tokens=96)
    without = dataset.sample_ids()[4]  # the tiny dataset's first film without a report
    target = adapter.targets(dataset, [dataset.sample_ids()[0], without])
    mentions = Labeller(adapter.labels).mentions(dataset.reports["text"].iloc[0])
    assert target[0, : len(adapter.labels)].tolist() == [mentions[label] for label in adapter.labels]
    assert adapter.vocabulary.decode(target[:1, len(adapter.labels) + 1 :]) == [dataset.reports["text"].iloc[0]]
    assert adapter.known(target).tolist() == [True, False]


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_a_dataset_whose_labels_cannot_be_read_still_teaches_to_write(
    report_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    header = dataclasses.replace(dataset.header, config={**dataset.header.config, "labels": ["Tuberculosis"]})
    unread = Dataset(dataset.path, header)
    adapter = _begin(report_values, encoder, unread)
    assert adapter.labels == ()
    assert adapter.left_out == {"Tuberculosis": "not read in reports: the labeller has no words for it"}
    ids, output = _films(features, dataset, 3)
    assert bool(adapter.loss(output, adapter.targets(unread, ids)).isfinite().all())


def test_seeing_depends_on_the_film_and_blind_does_not(
    report_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    _, output = _films(features, dataset, 6)
    seeing = _begin(report_values, encoder, dataset)
    assert float(seeing.film(output)[0].detach().std(dim=0).max()) > 1e-3
    blind = _begin(report_values, encoder, dataset, blind=True)
    assert float(blind.film(output)[0].detach().std(dim=0).max()) == 0
    assert len(set(blind.write(output))) == 1


def test_greedy_writing_takes_the_likeliest_token_each_time(
    report_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    adapter = _begin(report_values, encoder, dataset, max_tokens=8)
    _, output = _films(features, dataset, 3)
    tokens = torch.full((3, 1), BOS)
    with torch.no_grad():
        for _ in range(8):
            tokens = torch.cat([tokens, adapter(output, tokens)[0][:, -1].argmax(-1, keepdim=True)], dim=1)
    assert adapter.write(output) == adapter.vocabulary.decode(tokens[:, 1:])


@pytest.mark.parametrize(
    "generation",
    [
        {"method": "greedy", "repetition_penalty": 1.3, "no_repeat_ngram": 2},
        {"method": "beam", "n_beams": 2},
        {"method": "sample", "temperature": 0.9, "top_p": 0.9, "seed": 3},
    ],
    ids=lambda generation: str(generation["method"]),
)
def test_batches_and_their_order_do_not_change_what_is_written(
    generation: dict[str, Any], report_values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features
) -> None:
    adapter = _begin(report_values, encoder, dataset, generation=generation, max_tokens=10)
    _, output = _films(features, dataset, 5)
    alone = [adapter.write(EncoderOutput(*(t[i : i + 1] for t in output)))[0] for i in range(5)]
    assert adapter.write(output) == alone
    assert adapter.write(EncoderOutput(*(t.flip(0) for t in output))) == alone[::-1]


def test_a_width_that_heads_cannot_share_is_refused(report_values: dict[str, Any]) -> None:
    report_values["recipe"] |= {"width": 18, "n_heads": 2}
    with pytest.raises(UserError, match="width 18 is not a multiple of twice n_heads 2"):
        parse_config(report_values, DecoderConfig)
