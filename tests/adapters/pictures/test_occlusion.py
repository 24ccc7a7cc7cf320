from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

from adapters.pictures.occlusion import occlusion_map
from raydino.artifacts.dataset import Dataset
from raydino.cli import run
from raydino.encoder import EncoderOutput


def _film(h: int = 4, w: int = 5) -> EncoderOutput:
    patches = torch.randn(1, h, w, 3, generator=torch.Generator().manual_seed(0))
    return EncoderOutput(torch.zeros(1, 3), torch.zeros(1, 0, 3), patches)


@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_map_is_that_of_a_plain_loop(side: int) -> None:
    film = _film()
    weights = torch.randn(4, 5, 3, 2, generator=torch.Generator().manual_seed(1))

    def score(output: EncoderOutput) -> torch.Tensor:
        return torch.einsum("bhwd,hwdl->bl", output.patches, weights)

    found = occlusion_map(score, film, side)
    mean = film.patches.mean(dim=(1, 2))[0]
    sums, counts = np.zeros((4, 5, 2)), np.zeros((4, 5, 1))
    for top in range(1 - side, 4):
        for left in range(1 - side, 5):
            place = np.s_[max(top, 0) : top + side, max(left, 0) : left + side]
            hidden = film.patches.clone()
            hidden[0][place] = mean
            drop = score(film) - score(film._replace(patches=hidden))
            sums[place] += drop.numpy()
            counts[place] += 1
    np.testing.assert_allclose(found.numpy(), sums / counts, rtol=1e-4, atol=1e-4)


def test_only_what_a_score_reads_is_seen() -> None:
    film = _film()
    found = occlusion_map(lambda output: output.patches[:, 1, 2].sum(dim=1, keepdim=True), film)
    assert torch.nonzero(found[..., 0]).tolist() == [[1, 2]]
    blind = occlusion_map(lambda output: output.cls, film)
    assert not blind.any()


def test_the_command_draws_films_at_their_size(
    classification_values: dict[str, Any],
    encoder_path: Path,
    dataset: Dataset,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    classification_values["recipe"]["epochs"] = 3
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(classification_values))
    shared = ["--encoder", str(encoder_path), "--data", str(dataset.path)]
    assert run(["adapt", "fit", str(tmp_path / "config.yaml"), *shared, "--out", str(tmp_path / "adapter")]) == 0
    explain = ["adapt", "explain", str(tmp_path / "adapter"), *shared, "--out", str(tmp_path / "pictures")]
    assert run([*explain, "--sample", "s0000", "--sample", "s0009"]) == 0
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    kinds = ("rollout", "patches", "no-finding", "cardiomegaly", "pleural-effusion", "nodule")
    assert names == {f"{sample}_{kind}.png" for sample in ("s0000", "s0009") for kind in kinds}
    for name in names:
        picture = cv2.imread(str(tmp_path / "pictures" / name), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (56, 48, 3)
        assert np.ptp(picture.astype(int), axis=2).max() > 10  # coloured
    capfd.readouterr()
    assert run([*explain, "--sample", "nobody"]) == 2
    assert "holds no accepted film 'nobody'" in capfd.readouterr().err
