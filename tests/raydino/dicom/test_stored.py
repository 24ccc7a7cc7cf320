from __future__ import annotations

import numpy as np
import pytest

from raydino.dicom.stored import StoredFrame, look_up


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    ("container", "bits", "shift"),
    [(8, 8, 0), (8, 3, 2), (16, 12, 0), (16, 10, 6), (16, 16, 0), (32, 9, 4), (32, 32, 0)],
)
def test_words_values_counts_and_tables(container: int, bits: int, shift: int, signed: bool) -> None:
    rng = np.random.default_rng(bits)
    words = rng.integers(0, 2**container, (37, 29), dtype=np.uint64).astype(f"u{container // 8}")
    frame = StoredFrame.of(words, bits, signed=signed, shift=shift)
    truth = np.empty(words.shape)
    for place, word in np.ndenumerate(words):
        value = (int(word) >> shift) & (2**bits - 1)
        truth[place] = value - 2**bits if signed and value >= 2 ** (bits - 1) else value
    # a table that holds each value finds it again, whatever lies in the other bits
    low, high = float(frame.values.min()), float(frame.values.max())
    table = ((frame.values - low) / (high - low)).astype(np.float32)
    found = look_up(frame.words, frame.over_words(table))
    np.testing.assert_allclose(found, (truth - low) / (high - low), atol=1e-6)
    field = np.zeros(words.shape, np.uint8)
    field[5:20, 3:17] = 255
    for mask, chosen in ((None, truth.ravel()), (field, truth[5:20, 3:17].ravel())):
        counts = frame.counts(mask)
        assert counts.sum() == len(chosen)
        values, numbers = np.unique(chosen, return_counts=True)
        summed = {value: counts[frame.values == value].sum() for value in values}
        assert list(summed.values()) == list(numbers)
    sampled, steps = frame.sampled(10)
    np.testing.assert_array_equal(sampled, truth[:: steps[0], :: steps[1]])


def test_more_values_than_a_word_of_16_bits_has() -> None:
    words = np.arange(70_000, dtype=np.uint32).reshape(700, 100)
    frame = StoredFrame.of(words, 32)
    assert frame.words.dtype == np.uint32
    np.testing.assert_array_equal(look_up(frame.words, frame.over_words(frame.values.astype(np.float32))), words)
    assert frame.counts().sum() == 70_000
