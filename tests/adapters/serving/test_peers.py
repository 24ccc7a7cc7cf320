"""A patient's figures are the audit's own rows of the strata where the patient lies."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from adapters.serving.peers import METRICS, Peers, age_band
from bias_audit.axes import age_axis
from raydino.artifacts.audit import AUDIT, STRATA
from raydino.artifacts.header import creating, read_header
from raydino.artifacts.predictions import PREDICTIONS
from raydino.data.film_source import Groups
from raydino.errors import UserError

EDGES = (18.0, 40.0, 60.0, 80.0)
AXES = {
    "all": ("all",),
    "sex": ("F", "M", "UNKNOWN"),
    "age": ("<18", "40–59", "80+", "UNKNOWN"),
    "view": ("PA", "AP"),
    "site": ("Here", "There"),
    "sex × age": ("F × 40–59", "F × UNKNOWN", "M × 80+"),
    "sex × site": ("F × Here",),
}
WOMAN = Groups("F", 47.0, "PA", "OTHER")


@pytest.fixture
def audit(tmp_path: Path) -> Path:
    """Figures that tell where they come from: the estimate is the row's number."""
    with creating(tmp_path / "predictions", PREDICTIONS, inputs={"adapter": "a" * 64}) as directory:
        (directory / "predictions.parquet").write_bytes(b"of this model")
    rows = []
    for label in ("Effusion", "Nodule"):
        for axis, strata in AXES.items():
            for stratum in strata:
                for metric in ("brier", *reversed(METRICS)):
                    is_small = (label, axis) == ("Nodule", "sex × age")
                    counts = (np.nan,) * 5 if is_small else (50, 40, 20, 15, 3)
                    numbers = (np.nan,) * 3 if is_small else (len(rows), len(rows) - 1, len(rows) + 1)
                    told = ("suppressed", "below 10 patients") if is_small else ("ok", None)
                    rows.append((axis, stratum, label, metric, *counts, *numbers, *told))
    names = [column.name for column in STRATA.columns]
    frame = pd.DataFrame(rows, columns=names)
    counts = [name for name in names if name.startswith("n_")]
    frame[counts] = frame[counts].astype("Int64")
    inputs = {"predictions": read_header(tmp_path / "predictions").fingerprint}
    config = {"axes": ["sex", "age", "view", "site"], "recipe": {"age_edges_years": list(EDGES)}}
    with creating(tmp_path / "audit", AUDIT, config=config, inputs=inputs) as directory:
        STRATA.write(frame, directory / "strata.parquet")
    return tmp_path / "audit"


def test_the_rows_are_those_of_the_patient_s_strata(audit: Path) -> None:
    peers = Peers.open(audit, ["Effusion", "Nodule"], ["a" * 64])
    assert peers.warning is None
    found = peers.of(WOMAN)
    assert set(found) == {"Effusion", "Nodule"}
    strata = list(dict.fromkeys((peer.axis, peer.stratum) for peer in found["Effusion"]))
    assert strata == [
        ("all", "all"), ("sex", "F"), ("age", "40–59"), ("view", "PA"), ("sex × age", "F × 40–59"),
    ]  # fmt: skip
    assert [peer.metric for peer in found["Effusion"]] == list(METRICS) * len(strata)
    table = STRATA.read(audit / "strata.parquet").set_index(["label", "axis", "stratum", "metric"])
    for label, rows in found.items():
        for peer in rows:
            row = table.loc[(label, peer.axis, peer.stratum, peer.metric)]
            if peer.status == "ok":
                assert (peer.estimate, peer.ci_low, peer.ci_high) == (row.estimate, row.ci_low, row.ci_high)
                assert (peer.n_images, peer.n_patients, peer.n_positive, peer.reason) == (50, 40, 20, None)
            else:
                assert (peer.estimate, peer.ci_low, peer.n_patients) == (None, None, None)
                assert (peer.status, peer.reason) == ("suppressed", "below 10 patients")
                assert (label, peer.axis) == ("Nodule", "sex × age")


def test_what_the_header_does_not_tell_is_unknown_or_left_out(audit: Path) -> None:
    peers = Peers.open(audit, ["Effusion"], ["a" * 64])
    found = peers.of(Groups("UNKNOWN", None, "LATERAL", ""))["Effusion"]
    assert {(peer.axis, peer.stratum) for peer in found} == {("all", "all"), ("sex", "UNKNOWN"), ("age", "UNKNOWN")}
    found = peers.of(Groups("F", None, "AP", ""))["Effusion"]
    assert ("sex × age", "F × UNKNOWN") in {(peer.axis, peer.stratum) for peer in found}


@pytest.mark.parametrize("edges", [EDGES, (18.5,), (1.0, 2.0, 65.0)])
def test_bands_have_the_audit_s_names(edges: tuple[float, ...]) -> None:
    ages = np.array([0.0, 0.99, 1.0, 17.9, 18.0, 18.5, 39.99, 40.0, 59.0, 65.0, 79.5, 80.0, 90.0, np.nan])
    expected = age_axis(edges).assign(pd.DataFrame({"age_years": ages}))
    assert [age_band(None if np.isnan(age) else age, edges) for age in ages] == list(expected)


def test_audits_of_others_are_told_in_one_line(audit: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"audits other labels \(Effusion, Nodule\)") as told:
        Peers.open(audit, ["Fracture"], ["a" * 64])
    assert "\n" not in str(told.value)
    another = Peers.open(audit, ["Effusion"], ["b" * 64])
    assert "audits another model" in str(another.warning)
    partly = Peers.open(audit, ["Effusion", "Fracture"], ["a" * 64])
    assert "does not audit Fracture" in str(partly.warning)
    (tmp_path / "predictions").rename(tmp_path / "elsewhere")
    assert "not beside it" in str(Peers.open(audit, ["Effusion"], ["a" * 64]).warning)
    assert Peers.open(audit, ["Effusion"], ["a" * 64], tmp_path / "elsewhere").warning is None
    with creating(tmp_path / "others", PREDICTIONS, inputs={"adapter": "a" * 64}) as directory:
        (directory / "predictions.parquet").write_bytes(b"of another model")
    assert "does not audit the predictions" in str(
        Peers.open(audit, ["Effusion"], ["a" * 64], tmp_path / "others").warning
    )
