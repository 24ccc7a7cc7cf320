"""Is the planted bias found from the films on, and nothing flagged where none was planted?

For each seed two synthetic archives, with and without the planted bias, each taken the demo's way by the
command line: synth, ingest, pretrain, embed, adapt fit and predict (findings), audit. Measured, against an
audit without adjustment for many tests (peer):

- found: archives with the bias in which AUROC of the planted finding is flagged in the planted stratum
- false: flagged gaps that are no shadow of the planted stratum: another finding than the planted one and
  No Finding, or a stratum that shares no patient with it; and any flag in an archive without the bias

    python benchmarks/planted_bias_from_films.py --seeds 5 --work /tmp/planted     about 4 minutes an archive
    python benchmarks/planted_bias_from_films.py --quick                           one seed, 300 patients

What is done in ``--work`` is not done again, step by step: delete what is to be made anew. The last line
is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from raydino.phantom.findings import NO_FINDING
from raydino.phantom.studio import PLANTED_FINDING, PLANTED_SEX, PLANTED_SITE

CONFIGS = Path(__file__).resolve().parents[1] / "configs" / "tiny"
CELL = f"{PLANTED_SEX} × {PLANTED_SITE.name}"


def audited(directory: Path, seed: int, patients: int, *, planted: bool) -> pd.DataFrame:
    """The gaps of one archive, from synth to audit."""
    gaps = directory / "audit" / "gaps.parquet"
    if not gaps.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        for words in _chain(seed, patients, planted):
            if (directory / _output(words)).exists() or (words[0] == "synth" and (directory / "dataset").exists()):
                continue  # raydino writes an artifact whole or not at all
            done = subprocess.run(
                [sys.executable, "-m", "raydino", *words], cwd=directory, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"raydino {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
        shutil.rmtree(directory / "synthetic", ignore_errors=True)
    return pd.read_parquet(gaps)


def _chain(seed: int, patients: int, planted: bool) -> list[list[str]]:
    fitted = ["--encoder", "run", "--data", "dataset", "--features", "features"]
    bias = [] if planted else ["--no-planted-bias"]
    beside = ["--labels", "synthetic/labels.csv", "--key", "synthetic/synthetic.key"]
    return [
        ["synth", "synthetic", "--patients", str(patients), "--seed", str(seed), *bias],
        ["ingest", "synthetic/archive", "--out", "dataset", *beside, "--shorter-side", "128", "--retain-institution"],
        ["pretrain", str(CONFIGS / "pretrain.yaml"), "--data", "dataset", "--out", "run"],
        ["embed", "dataset", "--encoder", "run", "--out", "features"],
        ["adapt", "fit", str(CONFIGS / "classification.yaml"), *fitted, "--out", "adapter"],
        ["adapt", "predict", "adapter", *fitted, "--split", "test", "--out", "predictions"],
        ["audit", "predictions", "--out", "audit", "--demographics", "dataset", "--by", "sex,age,site"],
    ]


def _output(words: list[str]) -> str:
    return words[words.index("--out") + 1] if "--out" in words else words[1]


def is_shadow(gaps: pd.DataFrame) -> pd.Series:
    """Whether a gap's films overlap the planted stratum, in a label that the planted finding decides."""
    touched = gaps["label"].isin([PLANTED_FINDING, NO_FINDING])
    other_groups = {"M", next(s for s in ("Northgate Hospital", "Lakeside Clinic") if s != PLANTED_SITE.name)}
    overlaps = [not other_groups & set(name.split(" × ")) for name in gaps["stratum"]]
    return touched & np.array(overlaps, bool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--patients", type=int, default=1200)
    parser.add_argument("--work", type=Path, default=Path("planted"))
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.patients = 1, 300

    rows = []
    for seed in range(arguments.seeds):
        for planted in (True, False):
            gaps = audited(
                arguments.work / f"{seed}-{'planted' if planted else 'clean'}",
                seed,
                arguments.patients,
                planted=planted,
            )
            flagged, tested = gaps[gaps["flagged"]], gaps["p_value"].notna()
            false = flagged[~is_shadow(flagged)] if planted else flagged
            cell = gaps[
                (gaps["stratum"] == CELL) & (gaps["label"] == PLANTED_FINDING) & (gaps["metric"] == "auroc")
            ].iloc[0]
            rows.append(
                {
                    "seed": seed,
                    "planted": planted,
                    "auroc_cell": round(float(cell["estimate"]), 3),
                    "auroc_rest": round(float(cell["rest"]), 3),
                    "found": bool(cell["flagged"]),
                    "flags": len(flagged),
                    "false": len(false),
                    "false_flags": [f"{r.label}, {r.metric}, {r.stratum}: {r.gap:+.2f}" for r in false.itertuples()],
                    "unadjusted": int((gaps["p_value"] < 0.05).sum()),
                    "tests": int(tested.sum()),
                }
            )
    report(rows, arguments)


def report(rows: list[dict[str, object]], arguments: argparse.Namespace) -> None:
    table = Table(title=f"{PLANTED_FINDING} in {CELL}, from films to flags", title_justify="left")
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    Console(width=180).print(table)
    planted, clean = ([row for row in rows if row["planted"] is kind] for kind in (True, False))
    print(
        json.dumps(
            {
                "benchmark": "planted_bias_from_films",
                "machine": platform.machine(),
                "config": {"seeds": arguments.seeds, "patients": arguments.patients},
                "figures": {
                    "found": sum(bool(row["found"]) for row in planted) / len(planted),
                    "planted_archives_with_a_false_flag": sum(bool(row["false"]) for row in planted) / len(planted),
                    "clean_archives_with_a_flag": sum(bool(row["flags"]) for row in clean) / len(clean),
                },
                "archives": rows,
            }
        )
    )


if __name__ == "__main__":
    main()
