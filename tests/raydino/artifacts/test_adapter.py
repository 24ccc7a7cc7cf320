from __future__ import annotations

from pathlib import Path

import pytest

from raydino.artifacts.adapter import ADAPTER, AdapterCard, read_card, write_card
from raydino.artifacts.header import creating
from raydino.errors import UserError

CARD = AdapterCard(
    kind="classification_linear",
    task="classification",
    config={"l2": 0.01},
    labels=("Edema", "Mass"),
    thresholds={"Edema": 0.25, "Mass": 0.5},
    encoder="feed",
    pixels={"bits": 8},
)


def test_a_card_comes_back_whole_and_in_order(tmp_path: Path) -> None:
    with creating(tmp_path / "a", ADAPTER) as directory:
        write_card(directory, CARD)
    assert read_card(tmp_path / "a") == CARD


@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"labels": ["a"]}', '{"labels": ["a"], "surprise": 1}'])
def test_a_broken_card(tmp_path: Path, text: str) -> None:
    with creating(tmp_path / "a", ADAPTER) as directory:
        (directory / "adapter.json").write_text(text)
    with pytest.raises(UserError, match="cannot be read as an adapter's card"):
        read_card(tmp_path / "a")
