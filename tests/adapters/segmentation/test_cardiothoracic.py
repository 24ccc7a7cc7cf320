import numpy as np
import pytest

from adapters.segmentation.cardiothoracic import cardiothoracic_ratio, without_specks
from raydino.phantom.demographics import sample_patient
from raydino.phantom.studio import take_film


def _masks() -> tuple[np.ndarray, np.ndarray]:
    """Two lungs over columns 10 … 89 and a heart over 35 … 74."""
    lungs, heart = np.zeros((60, 100), bool), np.zeros((60, 100), bool)
    lungs[5:50, 10:40] = lungs[5:50, 55:90] = True
    heart[25:48, 35:75] = True
    return lungs, heart


def test_the_ratio_of_two_boxes() -> None:
    found = cardiothoracic_ratio(*_masks())
    assert found == (0.5, 40, 80, None)


def test_widths_may_lie_at_any_height() -> None:
    """The heart's right and left border are farthest out at different heights, as on most films."""
    lungs, heart = _masks()
    heart[:] = False
    heart[25:30, 35:60] = heart[30:40, 45:75] = True
    assert cardiothoracic_ratio(lungs, heart).ratio == 0.5


def test_specks_change_nothing() -> None:
    lungs, heart = _masks()
    lungs[55:58, 0:3] = lungs[0:2, 97:99] = True
    heart[2:5, 2:5] = True
    assert cardiothoracic_ratio(lungs, heart) == (0.5, 40, 80, None)
    touching = _masks()[0]
    touching[20:22, 40:55] = True  # the lungs meet before the heart
    assert cardiothoracic_ratio(touching, heart).ratio == 0.5
    assert without_specks(np.zeros((4, 4), bool)).sum() == 0


@pytest.mark.parametrize(
    ("lungs", "heart", "reason"),
    [
        ("missing", "whole", "no mask of the lungs"),
        ("whole", "empty", "no mask of the heart"),
        ("one", "whole", "the lungs lie on one side of the heart"),
        ("whole", "dot", "no ratio of a person lies beyond 0.2 and 0.95"),
        ("whole", "wide", "no ratio of a person lies beyond 0.2 and 0.95"),
    ],
)
def test_absurd_masks_give_no_ratio_and_say_why(lungs: str, heart: str, reason: str) -> None:
    both, whole = _masks()
    one = both.copy()
    one[:, 55:] = False
    dot, wide = np.zeros_like(whole), np.zeros_like(whole)
    dot[30, 50] = True
    wide[30:40, 5:95] = True
    given = {"missing": None, "whole": both, "one": one}
    hearts = {"whole": whole, "empty": np.zeros_like(whole), "dot": dot, "wide": wide}
    found = cardiothoracic_ratio(given[lungs], hearts[heart])
    assert found.ratio is None
    assert found.reason == reason


def test_phantoms_have_the_ratio_that_they_were_drawn_with() -> None:
    n_films = 0
    for index in range(6):
        rng = np.random.default_rng(index)
        patient = sample_patient(rng, index)
        for study in patient.studies[:1]:
            film = take_film(rng, patient, study, "PA", planted_bias=False)
            found = cardiothoracic_ratio(film.masks["lungs"] > 0, film.masks["heart"] > 0)
            assert found.ratio == pytest.approx(film.ctr, abs=0.03)
            n_films += 1
    assert n_films == 6
