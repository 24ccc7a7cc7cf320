"""What a film shows: orientation, marker, findings where they belong, and the planted bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from raydino.phantom.demographics import Patient, Study, sample_patient
from raydino.phantom.findings import Consolidation, Effusion, Findings, Nodule, Pneumothorax, sample_findings
from raydino.phantom.layout import LEFT, RIGHT
from raydino.phantom.sites import LAKESIDE, NORTHGATE, Site
from raydino.phantom.studio import PLANTED_CONTRAST, Film, effusion_contrast, take_film


def subject(sex: str = "F", site: Site = NORTHGATE, seed: int = 3) -> Patient:
    return replace(sample_patient(np.random.default_rng(seed), seed), sex=sex, site=site)


def film_of(
    patient: Patient, findings: Findings, *, view: str = "PA", seed: int = 8, planted_bias: bool = True
) -> Film:
    study = replace(patient.studies[0], findings=findings)
    return take_film(np.random.default_rng(seed), patient, study, view, planted_bias=planted_bias)


def healthy(patient: Patient) -> Findings:
    return Findings(patient.anatomy.healthy_ctr)


def widest(mask: np.ndarray) -> float:
    columns = np.flatnonzero(mask.any(axis=0))
    return float(columns[-1] - columns[0] + 1)


def test_the_film_hangs_with_the_patients_left_at_the_images_right() -> None:
    patient = subject()
    film = film_of(patient, healthy(patient))
    rows, cols = film.brightness.shape
    spine = np.flatnonzero(film.masks["lungs"][rows // 4] == 0)
    middle = float(spine[(spine > cols // 4) & (spine < 3 * cols // 4)].mean())
    heart = np.argwhere(film.masks["heart"])
    assert heart[:, 1].mean() > middle + 5  # apex of the heart
    lungs = np.argwhere(film.masks["lungs"])
    assert lungs[lungs[:, 1] < middle][:, 0].max() < lungs[lungs[:, 1] > middle][:, 0].max() + 40
    assert film.brightness[heart[:, 0], heart[:, 1]].mean() > 1.5 * film.brightness[lungs[:, 0], lungs[:, 1]].mean()


@pytest.mark.parametrize("seed", range(6))
def test_the_marker_stands_on_its_side(seed: int) -> None:
    patient = subject(site=(NORTHGATE, LAKESIDE)[seed % 2])
    film = film_of(patient, healthy(patient), seed=seed)
    rows, cols = film.brightness.shape
    # Without border the upper corners are bare air, but for the lead letter.
    margin = round(20 / film.spacing_mm)
    corner = film.brightness[margin : rows // 5]
    left, right = corner[:, margin : cols // 5] > 0.97, corner[:, -cols // 5 : -margin] > 0.97
    assert (right.sum() > left.sum()) == (film.marker == "L")


@pytest.mark.parametrize("ctr", [0.42, 0.60])
def test_the_ratio_measured_on_masks_is_the_true_one(ctr: float) -> None:
    for seed in range(4):
        film = film_of(subject(seed=seed), Findings(ctr, ctr > 0.5), view=("PA", "AP")[seed % 2], seed=seed)
        assert widest(film.masks["heart"]) / widest(film.masks["lungs"]) == pytest.approx(film.ctr, abs=0.02)


@pytest.mark.parametrize(
    ("name", "findings"),
    [
        ("pleural_effusion", Findings(0.44, effusions=(Effusion(RIGHT, 90.0),))),
        ("consolidation", Findings(0.44, consolidations=(Consolidation(RIGHT, "upper", 0.6, 0.28, 36, 32, 0.7, 5),))),
        ("nodule", Findings(0.44, nodules=(Nodule(RIGHT, 0.6, 0.4, 24.0),))),
    ],
)
def test_an_opacity_brightens_its_mask_on_its_side(name: str, findings: Findings) -> None:
    patient = subject(sex="M")
    before, after = film_of(patient, healthy(patient)), film_of(patient, findings)
    inside = after.masks[name] > 0
    assert inside.sum() > 100
    assert np.argwhere(inside)[:, 1].max() < inside.shape[1] * 0.55  # the patient's right
    assert (after.brightness - before.brightness)[inside].mean() > 0.06
    away = ~inside & (after.masks["lungs"] > 0)
    assert abs((after.brightness - before.brightness)[away].mean()) < 0.05  # exposure control follows a little
    assert name not in before.masks


def test_a_pneumothorax_darkens_the_rim_and_keeps_off_the_other_side() -> None:
    patient = subject(sex="M")
    before = film_of(patient, healthy(patient))
    after = film_of(patient, Findings(patient.anatomy.healthy_ctr, pneumothorax=Pneumothorax(LEFT, 60.0, 35.0)))
    inside = after.masks["pneumothorax"] > 0
    assert np.argwhere(inside)[:, 1].min() > inside.shape[1] * 0.45
    assert (after.brightness - before.brightness)[inside].mean() < -0.03


def test_finding_masks_lie_in_the_lungs() -> None:
    findings = Findings(
        0.44,
        effusions=(Effusion(LEFT, 80.0),),
        pneumothorax=Pneumothorax(RIGHT, 50.0, 30.0),
        consolidations=(Consolidation(LEFT, "upper", 0.6, 0.28, 36, 32, 0.7, 5),),
    )
    film = film_of(subject(), findings)
    for name in ("pleural_effusion", "pneumothorax", "consolidation"):
        inside = film.masks[name] > 0
        assert (film.masks["lungs"][inside] > 0).mean() > 0.98


def test_nodules_lie_beside_even_a_large_heart() -> None:
    drawn = (sample_findings(np.random.default_rng([3, seed]), 0.44) for seed in range(1000))
    cases = [findings for findings in drawn if findings.nodules and findings.cardiomegaly][:12]
    for seed, findings in enumerate(cases):
        film = film_of(subject(seed=seed), findings, view="AP", seed=seed)
        nodule = film.masks["nodule"] > 0
        assert (film.masks["heart"][nodule] > 0).mean() < 0.35
        assert (film.masks["lungs"][nodule] > 0).mean() > 0.6


def test_lateral_films_carry_no_masks_and_show_the_spine_behind() -> None:
    patient = subject()
    film = film_of(patient, healthy(patient), view="LATERAL")
    assert film.masks == {}
    assert film.marker == "L"
    rows, cols = film.brightness.shape
    assert cols < rows
    # Denser bone brightens the back half of the body: the spine.
    brittle, dense = (
        film_of(
            replace(patient, anatomy=replace(patient.anatomy, bone_density=density)), healthy(patient), view="LATERAL"
        )
        for density in (0.7, 1.1)
    )
    chest = np.s_[int(0.2 * rows) : int(0.5 * rows)]
    gain = np.clip(dense.brightness - brittle.brightness, 0.0, None)[chest].mean(axis=0)
    body = np.flatnonzero(film.brightness[chest].mean(axis=0) > 0.1)
    assert (gain * np.arange(cols)).sum() / gain.sum() > 0.5 * (body[0] + body[-1]) + 20


def contrast(patient: Patient, *, planted_bias: bool, seed: int) -> float:
    """Brightness that a right effusion adds inside its mask."""
    wet = Findings(patient.anatomy.healthy_ctr, effusions=(Effusion(RIGHT, 90.0),))
    after = film_of(patient, wet, seed=seed, planted_bias=planted_bias)
    before = film_of(patient, healthy(patient), seed=seed, planted_bias=planted_bias)
    inside = after.masks["pleural_effusion"] > 0
    return float((after.brightness - before.brightness)[inside].mean())


def test_the_planted_bias_fades_effusions_of_women_at_one_site_only() -> None:
    strata = [(sex, site) for sex in "FM" for site in (NORTHGATE, LAKESIDE)]
    faded = {}
    for sex, site in strata:
        patients = [subject(sex, site, seed) for seed in range(2)]
        with_bias = np.mean([contrast(p, planted_bias=True, seed=i) for i, p in enumerate(patients)])
        without = np.mean([contrast(p, planted_bias=False, seed=i) for i, p in enumerate(patients)])
        faded[sex, site.folder] = with_bias / without
        assert without > 0.1
    assert faded.pop(("F", "lakeside")) < 0.65
    assert set(faded.values()) == {1.0}


def test_the_contrast_factor_is_planted_in_its_stratum_alone() -> None:
    assert effusion_contrast(subject("F", LAKESIDE), planted_bias=True) == PLANTED_CONTRAST
    assert effusion_contrast(subject("F", LAKESIDE), planted_bias=False) == 1.0
    assert effusion_contrast(subject("M", LAKESIDE), planted_bias=True) == 1.0
    assert effusion_contrast(subject("F", NORTHGATE), planted_bias=True) == 1.0


def test_a_film_fills_its_detector() -> None:
    patient = subject(site=LAKESIDE)
    study: Study = patient.studies[0]
    film = take_film(np.random.default_rng(1), patient, study, "PA", planted_bias=True)
    rows, cols = film.brightness.shape
    size = (round(cols * film.spacing_mm), round(rows * film.spacing_mm))
    assert size in LAKESIDE.fields_mm
    assert 0.0 <= film.brightness.min() <= film.brightness.max() <= 1.0
