"""How a language model goes on from a film's prefix: greedy, beam search or sampling.

Each film's text depends on the film alone, never on the batch it is in or its place there. For sampling that
is had by the Gumbel-max trick: to each log-probability a Gumbel variate is added and the largest sum is
taken, which draws exactly from the distribution; the variates depend on the seed, the step and the word. So
equal films give equal texts, and further drafts of one film come from further seeds.
"""

from __future__ import annotations

import warnings
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from raydino.config import Config


class Repetition(Config):
    """What every method shares: how repeating oneself is held down."""

    repetition_penalty: float = Field(default=1.0, ge=1)  # scores of words already written are divided by it; 1: off
    no_repeat_ngram: int = Field(default=0, ge=0)  # words in a row that may not come twice; 0: off


class Greedy(Repetition):
    """The likeliest word each time."""

    method: Literal["greedy"] = "greedy"


class Beam(Repetition):
    """The likeliest of the texts that ``n_beams`` beams find."""

    method: Literal["beam"]
    n_beams: int = Field(gt=1)
    length_penalty: float = 1.0  # log-likelihoods are divided by length to this power; above 0 longer texts gain


class Sampling(Repetition):
    """A random draw from the likeliest words that hold ``top_p`` of the probability."""

    method: Literal["sample"]
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1)
    seed: int = Field(ge=0)


Generation = Annotated[Greedy | Beam | Sampling, Field(discriminator="method")]


class GumbelNoise(LogitsProcessor):
    """Adds to log-probabilities [B, V] the Gumbel variates of ``seed`` and the step, the same for each row."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """``input_ids`` [B, T] are the words so far: T is the step."""
        generator = torch.Generator().manual_seed((self.seed << 20) + input_ids.shape[1])
        uniform = torch.rand(scores.shape[-1], generator=generator, dtype=torch.float64)
        return scores + (-(-uniform.log()).log()).to(scores)


@torch.no_grad()
def write_tokens(model: Any, prompt: Tensor, generation: Repetition, max_tokens: int, end: int) -> Tensor:
    """[B, T ≤ max_tokens] words after ``prompt`` ([B, P, W] embedded); a text ends with ``end``, and so goes on.

    ``model`` is a causal language model of transformers.
    """
    settings: dict[str, Any] = {"num_beams": 1}
    processors = LogitsProcessorList()
    if isinstance(generation, Beam):
        settings = {"num_beams": generation.n_beams, "length_penalty": generation.length_penalty}
    if isinstance(generation, Sampling):
        processors.append(TemperatureLogitsWarper(generation.temperature))
        processors.append(TopPLogitsWarper(generation.top_p))
        processors.append(GumbelNoise(generation.seed))
    config = GenerationConfig(
        max_new_tokens=max_tokens,
        do_sample=False,
        repetition_penalty=generation.repetition_penalty,
        no_repeat_ngram_size=generation.no_repeat_ngram,
        pad_token_id=end,
        eos_token_id=end,
        **settings,
    )
    with warnings.catch_warnings():  # that only words after the prefix count as repeated is meant
        warnings.filterwarnings("ignore", message="Passing `(?:no_repeat_ngram_size|repetition_penalty)`")
        return model.generate(
            inputs_embeds=prompt,
            attention_mask=prompt.new_ones(prompt.shape[:2], dtype=torch.long),
            generation_config=config,
            logits_processor=processors,
        )
