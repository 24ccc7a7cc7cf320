import numpy as np

from raydino.phantom.findings import FINDINGS, NO_FINDING, Findings, sample_findings


def drawn(count: int) -> list[Findings]:
    return [sample_findings(np.random.default_rng([1, seed]), 0.44) for seed in range(count)]


def test_no_finding_is_exactly_the_absence_of_the_others() -> None:
    assert Findings(0.44).present() == {NO_FINDING: True, **dict.fromkeys(FINDINGS, False)}
    for findings in drawn(300):
        present = findings.present()
        assert present[NO_FINDING] == (not any(present[name] for name in FINDINGS))


def test_cardiomegaly_and_only_it_moves_the_ratio() -> None:
    for findings in drawn(500):
        assert findings.ctr > 0.54 if findings.cardiomegaly else findings.ctr == 0.44


def test_one_finding_does_not_hide_another() -> None:
    for findings in drawn(2000):
        wet = {effusion.side for effusion in findings.effusions}
        if findings.pneumothorax:
            assert findings.pneumothorax.side not in wet
            assert findings.pneumothorax.side not in {nodule.side for nodule in findings.nodules}
            assert findings.pneumothorax.side not in {spot.side for spot in findings.consolidations}
        assert all(spot.lobe == "upper" for spot in findings.consolidations if spot.side in wet)


def test_sides_and_sizes_are_balanced_and_plausible() -> None:
    all_findings = drawn(4000)
    nodules = [nodule for findings in all_findings for nodule in findings.nodules]
    sides = [effusion.side for findings in all_findings for effusion in findings.effusions]
    assert abs(np.mean(sides)) < 0.08
    assert min(n.diameter_mm for n in nodules) >= 8.0
    assert max(n.diameter_mm for n in nodules) <= 30.0
