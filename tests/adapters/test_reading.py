"""A DICOM read alone: what all adapters say of it is what ``adapt predict`` says of the film in a dataset."""

import csv
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from adapters.bundle import load_adapter
from adapters.predict import predict
from adapters.reading import Reader
from adapters.report.base import ReportAdapter
from raydino.artifacts.dataset import Dataset
from raydino.artifacts.header import creating
from raydino.artifacts.predictions import PREDICTIONS, Predictions
from raydino.dicom.ingest import IngestOptions, ingest
from raydino.dicom.pixels import PixelRecipe
from raydino.encoder import Encoder, EncoderOutput
from raydino.errors import UserError
from raydino.phantom.archive import write_archive
from raydino.testing.tiny import tiny_encoder

RECIPE = PixelRecipe(shorter_side=64)
LEARNT = ("epochs", "patience", "batch_size", "learning_rate", "weight_decay")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synth") / "archive"
    write_archive(path, patients=3, seed=0)
    return path / "archive"


@pytest.fixture(scope="module")
def ingested(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, dict[str, Path]]:
    """The archive as a dataset, and the file that each of its films is from."""
    out = tmp_path_factory.mktemp("ingested")
    ingest(archive, out / "dataset", IngestOptions(recipe=RECIPE, crosswalk=out / "crosswalk.csv"))
    dataset = Dataset.open(out / "dataset")
    films = set(dataset.accepted["sample_id"])  # the archive holds broken files too, in another place each time
    with (out / "crosswalk.csv").open() as file:
        path_of = {row["sample_id"]: archive / row["path"] for row in csv.DictReader(file) if row["sample_id"] in films}
    return dataset, path_of


def predicted(path: Path, encoder: Encoder, dataset: Dataset, split: str, out: Path) -> Predictions:
    adapter = load_adapter(path, encoder.spec)
    with creating(out, PREDICTIONS, config={"task": adapter.task}) as directory:
        predict(adapter, encoder, dataset, split, directory)
    return Predictions.open(out)


def test_what_is_read_is_what_predict_says(
    reading_encoder: Path, bundles: dict[str, Path], ingested: tuple[Dataset, dict[str, Path]], tmp_path: Path
) -> None:
    dataset, path_of = ingested
    encoder = Encoder.load(reading_encoder)
    split = str(dataset.accepted["split"].mode()[0])
    tables, masks_at = {}, tmp_path / "out" / "segmentation" / "masks"
    (tmp_path / "out").mkdir()
    for task, path in bundles.items():
        tables[task] = predicted(path, encoder, dataset, split, tmp_path / "out" / task).table
    reader = Reader.load(reading_encoder, list(bundles.values()), device="cpu")
    frontal = list(tables["report"]["sample_id"])
    assert frontal
    for sample_id in frontal:
        reading = reader.read(path_of[sample_id])
        np.testing.assert_array_equal(reading.film.pixels, dataset.film(sample_id))
        rows = {task: table[table["sample_id"] == sample_id] for task, table in tables.items()}
        expected = rows["classification"].set_index("label")
        assert list(reading.findings) == list(expected.index)
        for label, finding in reading.findings.items():
            assert finding.probability == pytest.approx(expected["score"][label], abs=1e-5)
            threshold = expected["threshold"][label]
            assert finding.threshold == (None if np.isnan(threshold) else threshold)
            assert finding.present == (None if np.isnan(threshold) else expected["score"][label] >= threshold)
        for structure, mask in reading.masks.items():
            stored = cv2.imread(str(masks_at / structure / f"{sample_id}.png"), cv2.IMREAD_UNCHANGED)
            assert mask.shape == stored.shape == reading.film.pixels.shape
            assert (mask != (stored > 0)).mean() < 1e-3
            assert 0.01 < mask.mean() < 0.99
        assert set(reading.masks) == set(rows["segmentation"]["label"])
        assert reading.measurements["age_years"] == pytest.approx(rows["regression"]["prediction"].item(), rel=1e-4)
        assert reading.report == rows["report"]["text"].item()


def test_content_path_and_text_are_read_alike(
    reading_encoder: Path, bundles: dict[str, Path], ingested: tuple[Dataset, dict[str, Path]]
) -> None:
    path = next(iter(ingested[1].values()))
    reader = Reader.load(reading_encoder, [bundles["classification"]], device="cpu")
    findings = reader.read(path).findings
    assert findings == reader.read(str(path)).findings == reader.read(path.read_bytes()).findings
    first = findings["No Finding"]
    assert first.probability == pytest.approx(1 / (1 + np.exp(-2 * first.logit - 0.3)), abs=1e-6)  # by its calibration
    assert findings["Nodule"].present is None
    reading = reader.read(path)
    assert (reading.masks, reading.measurements, reading.report, reading.contradictions) == ({}, {}, None, ())


class Claims(ReportAdapter):
    """Always writes the same."""

    def write(self, output: EncoderOutput) -> list[str]:
        return ["The heart is enlarged. No pleural effusion. No nodule."] * len(output.cls)

    begin = targets = known = loss = None  # type: ignore[assignment]


Claims.__abstractmethods__ = frozenset()


def test_sentences_against_the_findings_are_told(
    reading_encoder: Path, bundles: dict[str, Path], report_values: dict[str, Any], ingested: Any
) -> None:
    encoder = Encoder.load(reading_encoder)
    findings = load_adapter(bundles["classification"], encoder.spec)
    report = load_adapter(bundles["report"], encoder.spec)
    claims = Claims(report.config, encoder.spec, report.labels)
    path = next(iter(ingested[1].values()))
    for bar, told in ((0.0, {"Pleural Effusion"}), (1.0, {"Cardiomegaly"})):  # Nodule has no operating point
        findings.thresholds |= {"Cardiomegaly": bar, "Pleural Effusion": bar}
        reading = Reader(encoder, [findings, claims]).read(path)
        assert {one.label for one in reading.contradictions} == told
        assert all(one.sentence in str(reading.report) for one in reading.contradictions)
    assert Reader(encoder, [claims]).read(path).contradictions == ()


def test_what_does_not_fit_together_is_one_line(
    reading_encoder: Path, bundles: dict[str, Path], ingested: tuple[Dataset, dict[str, Path]], tmp_path: Path
) -> None:
    def fault(work: Any, message: str) -> None:
        with pytest.raises(UserError, match=message) as error:
            work()
        assert "\n" not in str(error.value)

    path = next(iter(ingested[1].values()))
    fault(lambda: Reader.load(reading_encoder, []), "there is no adapter to read with; give at least one")
    twice = [bundles["classification"], bundles["classification"]]
    fault(lambda: Reader.load(reading_encoder, twice), "two adapters for classification say 'No Finding'; give one")
    fault(lambda: Reader.load(reading_encoder, [bundles["report"]] * 2), "two adapters for report say 'a draft'")
    tiny_encoder(tmp_path / "other", seed=1)
    fault(lambda: Reader.load(tmp_path / "other", [bundles["report"]]), "fitted on another encoder")
    fault(lambda: Reader.load(reading_encoder, [tmp_path / "none"]), "none: no such directory")
    reader = Reader.load(reading_encoder, [bundles["classification"]], device="cpu")
    fault(lambda: reader.read(path.parent / "missing.dcm"), r"missing\.dcm: no such file")
    fault(lambda: reader.read(b"not a film"), "the file is not DICOM")
    old = Reader(tiny_encoder(tmp_path / "old"), reader.adapters)  # its recipe is older than ours
    fault(lambda: old.read(path), r"another pixel recipe \(.*version.*\); use the version of raydino")


def test_the_code_in_the_docs_runs(
    reading_encoder: Path,
    bundles: dict[str, Path],
    ingested: tuple[Dataset, dict[str, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text(encoding="utf-8")
    code = next(block for block in text.split("```python\n") if "Reader" in block).split("```")[0]
    places = {"ENCODER": reading_encoder, "FINDINGS": bundles["classification"], "MASKS": bundles["segmentation"]}
    places |= {"DRAFTS": bundles["report"], "film.dcm": next(iter(ingested[1].values()))}
    for name, path in places.items():
        (tmp_path / name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/adapters.md", "exec"), {})
    assert "Cardiomegaly" in capsys.readouterr().out
