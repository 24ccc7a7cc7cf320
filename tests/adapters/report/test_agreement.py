"""Against scikit-learn on the same decisions."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from adapters.report.agreement import FIVE, FOURTEEN, POLICIES, Agreement, agreement, read
from adapters.report.labeller import State


def test_what_a_text_says_in_the_order_of_the_fourteen() -> None:
    states = read(["Small left effusion. No pneumothorax. Possible pneumonia.", "Lungs are clear."])
    said = dict(zip(FOURTEEN, states[0].tolist(), strict=True))
    assert said["pleural effusion"] == State.PRESENT
    assert said["pneumothorax"] == State.ABSENT
    assert said["pneumonia"] == State.DOUBTFUL
    assert said["no finding"] == State.ABSENT
    assert states[1, FOURTEEN.index("no finding")] == State.PRESENT
    assert read([]).shape == (0, 14)


@pytest.mark.parametrize("policy", POLICIES)
def test_figures_are_scikit_learns(policy: str) -> None:
    rng = np.random.default_rng(0)
    drafts, references = (rng.choice(4, size=(50, 14), p=[0.5, 0.2, 0.1, 0.2]) for _ in range(2))
    found = agreement(drafts, references)
    for size, names in (("14", FOURTEEN), ("5", FIVE)):
        columns = [FOURTEEN.index(name) for name in names]
        said, wanted = (states[:, columns] >= POLICIES[policy] for states in (drafts, references))
        for average in ("micro", "macro"):
            expected = precision_recall_fscore_support(wanted, said, average=average, zero_division=0)
            for figure, value in zip(("precision", "recall", "f1"), expected, strict=False):
                assert found[f"{average}_{figure}_{size}_{policy}"] == pytest.approx(value, abs=1e-12)
    each = precision_recall_fscore_support(references >= POLICIES[policy], drafts >= POLICIES[policy], zero_division=0)
    np.testing.assert_allclose(Agreement.of(drafts, references, policy).figures()["f1"], each[2], atol=1e-12)


def test_a_finding_that_nobody_names_counts_in_no_mean_and_nothing_at_all_is_undefined() -> None:
    silent = np.zeros((4, 14), dtype=np.int64)
    assert set(agreement(silent, silent).values()) == {None}
    drafts, references = silent.copy(), silent.copy()
    drafts[0, 0] = references[:2, 0] = State.PRESENT
    references[3, 1] = State.DOUBTFUL
    found = agreement(drafts, references)
    assert found["macro_f1_14_present"] == pytest.approx(2 / 3)
    assert found["macro_f1_14_present_or_doubtful"] == pytest.approx((2 / 3 + 0) / 2)
    assert found["macro_precision_5_present_or_doubtful"] == pytest.approx((1 + 0) / 2)
