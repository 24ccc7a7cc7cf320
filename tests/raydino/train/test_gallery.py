"""The run's pictures: the masked patches are the masked ones, films stay the same, and files are whole."""

import cv2
import numpy as np
import torch

from raydino.data.batches import Batch
from raydino.nn.vit import VisionTransformer, ViTConfig
from raydino.testing.tiny import tiny_dataset
from raydino.train import gallery
from raydino.train.gallery import MASK_COLOUR, Gallery, draw_crops, masked_film

SMALL = ViTConfig(image_size=32, patch_size=8, embed_dim=16, depth=1, n_heads=2, n_registers=1)


def vit(seed):
    return VisionTransformer(SMALL).initialise(torch.Generator().manual_seed(seed))


def test_masked_patches_are_tinted_and_no_others():
    film, mask = np.full((16, 24), 0.5, np.float32), np.zeros(6, bool)
    mask[4] = True  # second row, second column of 2 × 3 patches
    shown = masked_film(film, mask, 8)
    expected = np.full((16, 24, 3), 0.5, np.float32)
    expected[8:, 8:16] = 0.45 * 0.5 + 0.55 * MASK_COLOUR
    assert np.allclose(shown, expected)


def test_crops_belong_to_their_films(monkeypatch):
    """Batches are crop-major: film i's crops stand a whole batch apart."""
    globals_, locals_ = torch.zeros(2 * 3, 1, 8, 8), torch.zeros(2 * 3, 1, 4, 4)
    for crop in range(2):
        for film in range(3):
            globals_[crop * 3 + film] = 0.1 * film
            locals_[crop * 3 + film] = 0.1 * film
    seen = []
    monkeypatch.setattr(gallery, "_grid", lambda cells, titles, names, heading: seen.append((cells, titles, names)))
    draw_crops(Batch(globals_, locals_, torch.zeros(6, 4, dtype=torch.bool)), 4)
    cells, titles, names = seen[0]
    assert titles == ["global 1, 8 px", "global 2, 8 px", "local 1, 4 px", "local 2, 4 px"]
    assert names == ["film 1", "film 2", "film 3"]
    for film, row in enumerate(cells):
        assert len(row) == 4
        assert all(np.allclose(crop, 0.1 * film) for crop in row)


def test_draws_three_pictures_and_hands_them_on(tmp_path):
    dataset, shown = tiny_dataset(tmp_path / "d"), []
    made = Gallery(
        dataset, tmp_path, start=vit(0), mean=0.4, std=0.25, show=lambda step, path: shown.append((step, path.name))
    )
    rng = torch.Generator().manual_seed(0)
    batch = Batch(
        torch.rand(8, 1, 32, 32, generator=rng), torch.rand(0, 1, 16, 16), torch.rand(8, 16, generator=rng) < 0.4
    )
    assert made.measure(7, vit(1), batch) == {}
    assert shown == [(7, "crops.png"), (7, "patches.png"), (7, "attention.png")]
    for _, name in shown:
        assert min(cv2.imread(str(tmp_path / name)).shape[:2]) > 150
    first = (tmp_path / "patches.png").read_bytes()
    shown.clear()
    made.measure(7, vit(1), None)
    assert [name for _, name in shown] == ["patches.png", "attention.png"]
    assert (tmp_path / "patches.png").read_bytes() == first  # the same films, the same colours
    assert not list(tmp_path.glob(".*.partial"))
