from pathlib import Path

import pytest
import torch

from adapters.report.tokenizer import BOS, EOS, NOTHING, Vocabulary, load_tokenizer, train_tokenizer
from raydino.errors import UserError

TEXTS = ["No pleural effusion.", "Small right pleural effusion.", "The heart is enlarged; ratio 0.61."] * 5


def test_any_text_comes_back_and_common_words_become_one_token() -> None:
    tokenizer = train_tokenizer(TEXTS, 400)
    odd = ["No pleural effusion.", "Ödem – 3 × 4 cm?", "line\nbreak"]
    tokens = Vocabulary.own(tokenizer).encode(odd, 64)
    assert tokens[:, 0].tolist() == [BOS] * 3
    assert Vocabulary.own(tokenizer).decode(tokens[:, 1:]) == odd
    assert len(tokenizer.encode(" pleural").ids) == 1
    assert 259 < tokenizer.get_vocab_size() <= 400


def test_missing_and_long_texts() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    vocabulary = Vocabulary.own(tokenizer)
    tokens = vocabulary.encode([None, TEXTS[0], "x" * 100], 12)
    assert tokens[0].tolist() == [NOTHING] * 12
    assert EOS in tokens[1].tolist()
    assert EOS not in tokens[2].tolist()
    assert vocabulary.decode(torch.tensor([[EOS, 70, 71]])) == [""]


def test_training_is_deterministic_and_a_broken_file_is_named(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 350)
    assert tokenizer.to_str() == train_tokenizer(TEXTS, 350).to_str()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path / "tokenizer.json").to_str() == tokenizer.to_str()
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read as a tokenizer"):
        load_tokenizer(tmp_path / "tokenizer.json")
