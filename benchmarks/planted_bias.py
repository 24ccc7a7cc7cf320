"""Does the audit find the bias that the synthetic archive plants, and nothing where none is planted?

For every seed two archives are made, with and without the planted bias (pleural effusions drawn fainter
in women of one site), and taken through raydino's own commands: synth, ingest, adapt fit (findings, on
a given frozen encoder), adapt predict, audit by sex and site. A flag is true when it names pleural
effusion (or No Finding, which a missed effusion turns wrong) in the planted stratum or a stratum that
holds it; any other flag is false. The last line is one JSON object.

    python benchmarks/planted_bias.py --encoder demo/encoder --seeds 3 --work /tmp/planted
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from raydino.cli import run

LABELS = ("Pleural Effusion", "No Finding")


def audited(work: Path, encoder: Path, *, seed: int, patients: int, planted: bool) -> pd.DataFrame:
    """The gaps table of one archive."""
    here = work / f"{'planted' if planted else 'clean'}-{seed}"
    archive, dataset, adapter = here / "synthetic", here / "dataset", here / "adapter"
    shared = ["--encoder", encoder, "--data", dataset]
    known = ["--labels", archive / "labels.csv", "--key", archive / "synthetic.key"]
    films = ["--shorter-side", 128, "--retain-institution"]
    commands: list[list[object]] = [
        ["synth", archive, "--patients", patients, "--seed", seed, *([] if planted else ["--no-planted-bias"])],
        ["ingest", archive / "archive", "--out", dataset, *known, *films],
        ["adapt", "fit", "configs/tiny/classification.yaml", *shared, "--out", adapter],
        ["adapt", "predict", adapter, *shared, "--split", "test", "--out", here / "predictions"],
        ["audit", here / "predictions", "--out", here / "audit", "--demographics", dataset, "--by", "sex,site"],
    ]
    for command in commands:
        code = run([str(word) for word in command])
        if code:
            raise SystemExit(code)
    return pd.read_parquet(here / "audit" / "gaps.parquet")


def holds_planted(stratum: str, sex: str, site: str) -> bool:
    """Whether a stratum's name is the planted cell, its sex or its site."""
    return all(part.strip() in (sex, site) for part in stratum.split("×"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--patients", type=int, default=800)
    parser.add_argument("--work", type=Path, required=True)
    arguments = parser.parse_args()
    counts = {"planted": {"found": 0, "true": 0, "false": 0}, "clean": {"found": 0, "true": 0, "false": 0}}
    gaps_in_cell = []
    for seed in range(1, arguments.seeds + 1):
        for kind, tally in counts.items():
            planted = kind == "planted"
            gaps = audited(arguments.work, arguments.encoder, seed=seed, patients=arguments.patients, planted=planted)
            truth = json.loads(
                (arguments.work / f"{kind}-{seed}" / "synthetic" / "truth.json").read_text(encoding="utf-8")
            )
            bias = truth["planted_bias"] or {"sex": "F", "site": "Lakeside Clinic"}
            cell = gaps[
                (gaps["stratum"] == f"{bias['sex']} × {bias['site']}")
                & (gaps["label"] == "Pleural Effusion")
                & (gaps["metric"] == "sensitivity")
            ]
            gaps_in_cell.append((kind, seed, *(round(float(v), 3) for v in cell[["gap", "p_adjusted"]].iloc[0])))
            flagged = gaps[gaps["flagged"]]
            is_true = [
                planted and row.label in LABELS and holds_planted(row.stratum, bias["sex"], bias["site"])
                for row in flagged.itertuples()
            ]
            print(kind, seed, flagged[["stratum", "label", "metric", "gap", "p_adjusted"]].to_string(), flush=True)
            tally["true"] += sum(is_true)
            tally["false"] += len(is_true) - sum(is_true)
            tally["found"] += any(is_true)
    config = {"seeds": arguments.seeds, "patients": arguments.patients}
    print(
        json.dumps(
            {
                "benchmark": "planted_bias",
                "config": config,
                "archives": arguments.seeds,
                "flags": counts,
                "sensitivity_gap_in_cell": gaps_in_cell,
            }
        )
    )


if __name__ == "__main__":
    main()
