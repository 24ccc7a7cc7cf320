"""A toy model whose distribution is known: words follow from the prompt alone."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, TemperatureLogitsWarper, TopPLogitsWarper

from adapters.report.generation import Beam, Generation, Greedy, GumbelNoise, Sampling, write_tokens
from raydino.config import Config, parse_config
from raydino.errors import UserError


@pytest.fixture(scope="module")
def model() -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        config = LlamaConfig(
            vocab_size=12, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=64, initializer_range=0.6,
        )  # fmt: skip
        return LlamaForCausalLM(config).eval()


@pytest.fixture(scope="module")
def prompt() -> torch.Tensor:
    return torch.randn(4, 3, 16, generator=torch.Generator().manual_seed(2))


def test_gumbel_noise_draws_from_the_distribution() -> None:
    probability = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0])
    drawn = [int(GumbelNoise(seed)(torch.zeros(1, 7), probability.log()[None]).argmax()) for seed in range(4000)]
    found = torch.bincount(torch.tensor(drawn), minlength=5) / len(drawn)
    torch.testing.assert_close(found, probability, atol=0.025, rtol=0)
    assert found[4] == 0


def test_gumbel_noise_is_fresh_at_every_step_and_for_every_seed_and_equal_for_every_row() -> None:
    flat = torch.zeros(3, 50)
    noise = [GumbelNoise(seed)(torch.zeros(3, step), flat) for seed, step in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert all(torch.equal(n[0], n[2]) for n in noise)
    assert len({round(float(n[0, 0]), 9) for n in noise}) == 4


def test_sampling_is_the_warped_distribution_by_hand(model: Any, prompt: torch.Tensor) -> None:
    generation = Sampling(method="sample", temperature=1.7, top_p=0.8, seed=5)
    found = write_tokens(model, prompt, generation, 6, end=11)
    embedded, tokens = prompt, torch.zeros(4, 0, dtype=torch.long)
    ended = torch.zeros(4, dtype=torch.bool)
    for _ in range(found.shape[1]):
        scores = model(inputs_embeds=embedded).logits[:, -1].detach()
        for warp in (TemperatureLogitsWarper(1.7), TopPLogitsWarper(0.8), GumbelNoise(5)):
            scores = warp(tokens, scores)
        word = torch.where(ended, 11, scores.argmax(-1))
        ended |= word == 11
        tokens = torch.cat([tokens, word[:, None]], dim=1)
        embedded = torch.cat([embedded, model.get_input_embeddings()(word[:, None])], dim=1)
    assert torch.equal(found, tokens)
    other = write_tokens(model, prompt, generation.model_copy(update={"seed": 6}), 6, end=11)
    assert not torch.equal(found, other)


def test_a_single_beam_more_finds_nothing_less_likely_than_greedy(model: Any, prompt: torch.Tensor) -> None:
    def likelihood(tokens: torch.Tensor) -> torch.Tensor:
        embedded = torch.cat([prompt, model.get_input_embeddings()(tokens)], dim=1)
        logits = model(inputs_embeds=embedded).logits[:, prompt.shape[1] - 1 : -1].detach()
        each = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        after_end = (tokens == 11).cumsum(1) - (tokens == 11).long() > 0
        return each.masked_fill(after_end, 0).sum(1)

    greedy = write_tokens(model, prompt, Greedy(), 5, end=11)
    beams = write_tokens(model, prompt, Beam(method="beam", n_beams=12, length_penalty=0.0), 5, end=11)
    assert bool((likelihood(beams) >= likelihood(greedy) - 1e-5).all())


def test_repetition_is_held_down(model: Any, prompt: torch.Tensor) -> None:
    free = write_tokens(model, prompt, Greedy(), 30, end=99)
    held = write_tokens(model, prompt, Greedy(no_repeat_ngram=2), 30, end=99)

    def repeated(tokens: torch.Tensor) -> int:
        pairs = [list(pairwise(row)) for row in tokens.tolist()]
        return sum(len(p) - len(set(p)) for p in pairs)

    assert repeated(free) > 0
    assert repeated(held) == 0
    punished = write_tokens(model, prompt, Greedy(repetition_penalty=5.0), 10, end=99)
    assert sum(len(set(row)) for row in punished.tolist()) > sum(len(set(row)) for row in free[:, :10].tolist())


class _Holder(Config):
    generation: Generation


@pytest.mark.parametrize(
    "values",
    [
        {"method": "beam"},
        {"method": "greedy", "seed": 0},
        {"method": "sample", "temperature": 0.0, "top_p": 1.0, "seed": 0},
        {"method": "nucleus"},
    ],
)
def test_settings_that_do_not_belong_together_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="generation"):
        parse_config({"generation": values}, _Holder)
