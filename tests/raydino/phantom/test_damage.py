import numpy as np

from raydino.phantom.damage import CORRUPT_KINDS, broken, crop_box, plan_odd_files, re_export
from raydino.phantom.stored_values import Encoding


def test_a_plan_gives_each_patient_at_most_one_oddity_and_holds_every_kind() -> None:
    for patients in (12, 100, 600):
        plan = plan_odd_files(np.random.default_rng(0), patients)
        assert not plan.exact & plan.near
        assert not (plan.exact | plan.near) & set(plan.corrupt)
        assert set(plan.corrupt.values()) == set(CORRUPT_KINDS)
        assert max(plan.exact | plan.near | set(plan.corrupt)) < patients
    assert len(plan.exact) == len(plan.near) == 10


def test_a_plan_for_one_patient_is_no_error() -> None:
    plan = plan_odd_files(np.random.default_rng(0), 1)
    assert len(plan.exact) == 1
    assert not plan.near
    assert not plan.corrupt


def test_each_kind_of_damage_is_what_it_is_called() -> None:
    content, headless = bytes(range(256)) * 30, b"header"
    assert broken(content, headless, "truncated") == content[:2560]
    assert broken(content, headless, "zeroed") == bytes(len(content))
    assert broken(content, headless, "text").decode("ascii")
    assert broken(content, headless, "no_pixels") == headless


def test_a_re_export_differs_in_syntax_and_window_only() -> None:
    before = Encoding(True, 12, True, "window", False, "JPEGLSLossless", 0.0, 1.0)
    after = re_export(before)
    assert after.transfer_syntax != before.transfer_syntax
    assert (after.low, after.high) != (before.low, before.high)
    assert (after.is_dx, after.bits, after.monochrome1) == (True, 12, True)


def test_a_crop_loses_little() -> None:
    for seed in range(20):
        rows, cols = crop_box(np.random.default_rng(seed), 600, 500)
        assert 570 < rows.stop - rows.start < 600
        assert 475 < cols.stop - cols.start < 500
