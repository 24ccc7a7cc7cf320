import numpy as np
import pytest

from raydino.phantom.anatomy import sample_anatomy, sample_pose
from raydino.phantom.geometry import Grid
from raydino.phantom.layout import LEFT, RIGHT, FrontalLayout


def layout_of(seed: int, ctr: float, view: str = "PA", sex: str = "F") -> FrontalLayout:
    rng = np.random.default_rng(seed)
    anatomy = sample_anatomy(rng, sex, 50.0)
    return FrontalLayout(anatomy, sample_pose(rng, view, 430.0), ctr)


@pytest.mark.parametrize("ctr", [0.39, 0.46, 0.56, 0.65])
def test_the_heart_is_as_wide_as_its_ratio_says(ctr: float) -> None:
    for seed in range(5):
        layout = layout_of(seed, ctr)
        assert np.ptp(layout.heart[:, 0]) == pytest.approx(ctr * 2.0 * layout.half_width)


def test_the_apex_of_the_heart_points_to_the_patients_left() -> None:
    for seed in range(10):
        heart = layout_of(seed, 0.45).heart
        assert heart[:, 0].max() > 1.4 * -heart[:, 0].min()


def test_the_right_hemidiaphragm_stands_higher_and_both_angles_are_below_the_domes() -> None:
    for seed in range(10):
        layout = layout_of(seed, 0.45)
        assert layout.dome_y(RIGHT) < layout.dome_y(LEFT)
        for side in (RIGHT, LEFT):
            x = np.float32(side * np.array([0.46, 0.985])) * np.float32(layout.half_width)
            dome, angle = layout.diaphragm(side, x.astype(np.float32))
            assert dome == pytest.approx(layout.dome_y(side), abs=0.1)
            assert angle == pytest.approx(layout.angle_y(side), abs=0.1)


def test_the_chest_is_widest_low_and_narrow_at_the_apex() -> None:
    layout = layout_of(3, 0.45)
    apex, low = layout.wall_x(np.array([layout.at(0.0), layout.at(0.92)]))
    assert low == pytest.approx(layout.half_width, rel=0.03)
    assert apex < 0.5 * low


def test_both_lungs_fill_mirrored_halves() -> None:
    layout = layout_of(1, 0.45)
    grid = Grid(400, 400, 1.0, 200.0)
    right, left = (grid.cover([layout.envelope(side)]) for side in (RIGHT, LEFT))
    assert right[:, 210:].max() == 0.0
    assert left[:, :190].max() == 0.0
    assert right.sum() == pytest.approx(left.sum(), rel=0.02)


def test_a_film_from_the_front_magnifies_the_heart_but_not_past_half_in_health() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        anatomy = sample_anatomy(rng, "M" if seed % 2 else "F", 18.0 + seed % 77)
        pose = sample_pose(rng, "AP", 430.0)
        assert anatomy.healthy_ctr >= 0.38
        assert anatomy.healthy_ctr * pose.heart_magnification < 0.5
