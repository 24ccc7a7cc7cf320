"""With random GPT-2 and Llama models that are built here and saved locally: no network."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from adapters.batches import FilmFeatures
from adapters.bundle import load_adapter, write_bundle
from adapters.fit import fit
from adapters.report.language_model import LanguageModelConfig, ReportLanguageModel, load_language_model
from adapters.report.low_rank import merge_low_rank
from adapters.report.tokenizer import train_tokenizer
from raydino.artifacts.adapter import ADAPTER
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.encoder import Encoder, EncoderOutput
from raydino.errors import UserError
from raydino.features import Features

SIZES = {
    "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=300, n_positions=64, n_embd=16, n_layer=1, n_head=2), "*.c_attn"),
    "llama": (
        LlamaForCausalLM,
        LlamaConfig(
            vocab_size=300, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=64, tie_word_embeddings=True,
        ),
        "*.q_proj",
    ),
}  # fmt: skip


def _save(directory: Path, family: str, dataset: Dataset, seed: int) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        SIZES[family][0](SIZES[family][1]).save_pretrained(directory)
    own = train_tokenizer(list(dataset.reports["text"]), 300)
    ends = {"bos_token": "<bos>"} if family == "llama" else {}
    PreTrainedTokenizerFast(tokenizer_object=own, eos_token="<eos>", **ends).save_pretrained(directory)
    return directory


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def language_model(family: str, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(tmp_path_factory.mktemp("models") / family, family, dataset, seed=0)


@pytest.fixture
def values(language_model: Path, family: str, report_values: dict[str, Any]) -> dict[str, Any]:
    recipe = {k: v for k, v in report_values["recipe"].items() if k not in ("vocab_size", "width", "depth", "n_heads")}
    low_rank = {"modules": [SIZES[family][2]], "rank": 2, "alpha": 4.0}
    recipe |= {"language_model": str(language_model), "low_rank": low_rank, "max_tokens": 12, "prefix_grid": 2}
    return report_values | {"kind": "report_language_model", "recipe": recipe}


@pytest.fixture
def fitted(values: dict[str, Any], encoder: Encoder, dataset: Dataset, features: Features) -> ReportLanguageModel:
    config = LanguageModelConfig.model_validate(values)
    return fit(config, encoder, dataset, features).adapter  # type: ignore[return-value]


def _bundle(path: Path, adapter: Any) -> Path:
    with creating(path, ADAPTER, config=adapter.config.resolved(), seed=0) as directory:
        write_bundle(directory, adapter, {})
    return path


def test_fitting_leaves_the_model_as_it_was_and_stores_only_what_it_added(
    fitted: ReportLanguageModel,
    language_model: Path,
    encoder: Encoder,
    dataset: Dataset,
    features: Features,
    tmp_path: Path,
) -> None:
    before = load_language_model(language_model)[0].state_dict()
    after = {name.replace(".base.", "."): t for name, t in fitted.language_model.state_dict().items()}
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert {name.rpartition(".")[2] for name in fitted.state_dict() if name.startswith("language_model.")} == {
        "down",
        "up",
    }
    assert any(float(t.abs().max()) > 0 for name, t in fitted.state_dict().items() if name.endswith(".up"))
    assert not any(module.training for module in fitted.train().language_model.modules())

    path = _bundle(tmp_path / "adapter", fitted)
    assert sorted(p.name for p in path.iterdir()) == sorted(
        ["adapter.json", "artifact.json", "language_model.json", "metrics.json", "weights.safetensors"]
    )
    output = FilmFeatures(features, dataset.sample_ids("test")).read(torch.arange(5))
    loaded = load_adapter(path, encoder.spec)
    expected = fitted.predict(output)
    assert loaded.predict(output) == expected
    alone = [loaded.predict(EncoderOutput(*(t[i : i + 1] for t in output))).text[0] for i in range(5)]
    assert alone == expected.text
    merge_low_rank(loaded.language_model)
    assert loaded.predict(output) == expected


def test_a_fresh_process_and_another_place_of_the_model(
    fitted: ReportLanguageModel, language_model: Path, encoder_path: Path, family: str, tmp_path: Path
) -> None:
    if family == "llama":
        pytest.skip("one family is enough")
    path = _bundle(tmp_path / "adapter", fitted)
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in language_model.iterdir():
        (moved / file.name).symlink_to(file)
    images = "torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))"
    script = (
        "import torch; from raydino.encoder import Encoder; from adapters.bundle import load_adapter\n"
        f"encoder = Encoder.load({str(encoder_path)!r})\n"
        f"print(load_adapter({str(path)!r}, encoder.spec).predict(encoder({images})).text)"
    )
    environment = {"RAYDINO_LANGUAGE_MODEL": str(moved), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    encoder = Encoder.load(encoder_path)
    films = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    assert done.stdout.strip() == str(fitted.predict(encoder(films)).text)


def test_another_or_no_model_is_refused(
    fitted: ReportLanguageModel,
    family: str,
    encoder: Encoder,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = _bundle(tmp_path / "adapter", fitted)
    monkeypatch.setenv("RAYDINO_LANGUAGE_MODEL", str(_save(tmp_path / "other", family, dataset, seed=1)))
    with pytest.raises(UserError, match=r"on another language model \(.{12}\) than the one at .*other \(.{12}\)"):
        load_adapter(path, encoder.spec)
    monkeypatch.setenv("RAYDINO_LANGUAGE_MODEL", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere: holds no weights as safetensors"):
        load_adapter(path, encoder.spec)


def test_a_frozen_model_and_settings_that_do_not_fit(
    values: dict[str, Any], family: str, encoder: Encoder, dataset: Dataset, tmp_path: Path
) -> None:
    def begin(**changes: Any) -> ReportLanguageModel:
        config = LanguageModelConfig.model_validate(values | {"recipe": values["recipe"] | changes})
        return ReportLanguageModel.begin(config, encoder.spec, dataset)

    frozen = begin(low_rank=None)
    assert not any(name.startswith("language_model.") for name in frozen.state_dict())
    assert not any(p.requires_grad for p in frozen.language_model.parameters())
    with pytest.raises(UserError, match="holds 64 positions; prefix and report need 105"):
        begin(max_tokens=100)
    with pytest.raises(UserError, match="no linear layer of the language model fits the pattern 'nothing'"):
        begin(low_rank={"modules": ["nothing"], "rank": 1, "alpha": 1})
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match="holds no causal language model with its tokenizer"):
        begin(language_model=str(tmp_path))
