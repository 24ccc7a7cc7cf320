import pytest
import torch

from adapters.batches import FilmFeatures
from raydino.encoder import EncoderOutput
from raydino.errors import UserError
from raydino.features import Features


def test_films_come_in_the_order_asked_for_whatever_the_batches() -> None:
    rows = torch.arange(5.0)
    output = EncoderOutput(rows[:, None], rows[:, None, None], rows[:, None, None, None])
    films = FilmFeatures(Features(list("abcde"), output), ["d", "a", "c"])
    read = [(positions.tolist(), out.cls.flatten().tolist()) for positions, out in films.batches(2)]
    assert read == [([0, 1], [3.0, 0.0]), ([2], [2.0])]
    with pytest.raises(UserError, match="1 films have no features, x among them; run raydino embed again"):
        FilmFeatures(Features(list("abcde"), output), ["a", "x"])
