import pytest
import torch

import adapters.batches
from adapters.batches import CONDENSED, CondensedFilms, FilmFeatures
from raydino.encoder import EncoderOutput
from raydino.errors import UserError
from raydino.features import Features
from raydino.readout import readout


def test_films_come_in_the_order_asked_for_whatever_the_batches() -> None:
    rows = torch.arange(5.0)
    output = EncoderOutput(rows[:, None], rows[:, None, None], rows[:, None, None, None])
    films = FilmFeatures(Features(list("abcde"), output), ["d", "a", "c"])
    read = [(positions.tolist(), out.cls.flatten().tolist()) for positions, out in films.batches(2)]
    assert read == [([0, 1], [3.0, 0.0]), ([2], [2.0])]
    with pytest.raises(UserError, match="1 films have no features, x among them; run raydino embed again"):
        FilmFeatures(Features(list("abcde"), output), ["a", "x"])


def test_a_readout_is_made_once_where_it_is_moderate_and_is_the_same_where_it_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.Generator().manual_seed(0)
    output = EncoderOutput(
        torch.rand(300, 6, generator=generator), torch.zeros(300, 0, 6), torch.rand(300, 5, 5, 6, generator=generator)
    )
    ids = [str(film) for film in range(300)]
    films = FilmFeatures(Features(ids, output), ids[::-1])
    read: list[int] = []

    def condense(one: EncoderOutput) -> torch.Tensor:
        read.append(len(one.cls))
        return readout(one, "grid_2")

    chosen, expected = torch.tensor([7, 0, 299]), readout(output, "grid_2")[[292, 299, 0]]
    kept = CondensedFilms(films, condense)
    assert sum(read) == 301  # one of them to see how long it is
    torch.testing.assert_close(kept.read(chosen), expected)
    torch.testing.assert_close(torch.cat([rows for _, rows in kept.batches()]), readout(output, "grid_2").flip(0))
    assert sum(read) == 301
    monkeypatch.setattr(adapters.batches, "KEPT_BYTES", 0)
    anew = CondensedFilms(films, condense)
    torch.testing.assert_close(anew.read(chosen), expected)
    assert sum(read) == 301 + 1 + 3
    torch.testing.assert_close(torch.cat([rows for _, rows in anew.batches()]), readout(output, "grid_2").flip(0))
    assert max(read) == CONDENSED  # films whose tokens are in memory at a time, whatever the batch
    whole = CondensedFilms(films, lambda one: one)
    assert isinstance(whole.read(chosen), EncoderOutput)
