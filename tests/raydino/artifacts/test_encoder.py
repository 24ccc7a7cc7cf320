from __future__ import annotations

from pathlib import Path

import pytest

from raydino.artifacts.encoder import ENCODER, EncoderCard, read_encoder_card, write_encoder_card
from raydino.artifacts.header import creating
from raydino.errors import UserError


def test_a_card_comes_back(tmp_path: Path) -> None:
    card = EncoderCard({"embed_dim": 96}, {"bits": 8, "voi": ["a", "b"]}, mean=0.5, std=0.25, steps=100)
    with creating(tmp_path / "e", ENCODER) as directory:
        write_encoder_card(directory, card)
    assert read_encoder_card(tmp_path / "e") == card


@pytest.mark.parametrize("text", [None, "{", "{}", '{"surprise": 1}'])
def test_a_broken_card(tmp_path: Path, text: str | None) -> None:
    with creating(tmp_path / "e", ENCODER) as directory:
        if text is not None:
            (directory / "encoder.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read as an encoder's card"):
        read_encoder_card(tmp_path / "e")
