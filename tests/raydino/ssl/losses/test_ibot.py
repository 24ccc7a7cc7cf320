"""Every masked image weighs the same, however many of its patches are masked."""

import torch

from raydino.ssl.losses.ibot import ibot_loss


def test_equals_a_loop_over_images():
    generator = torch.Generator().manual_seed(0)
    masks = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.bool)
    targets = torch.randn(3, 4, 6, dtype=torch.float64, generator=generator).softmax(-1)
    scores = torch.randn(3, 4, 6, dtype=torch.float64, generator=generator)
    expected = 0.0
    for image in range(3):
        losses = [
            float(-(targets[image, p] * (scores[image, p] / 0.1).log_softmax(-1)).sum())
            for p in range(4)
            if masks[image, p]
        ]
        expected += sum(losses) / len(losses) / 3 if losses else 0.0
    weights = (1.0 / masks.sum(1).clamp_min(1))[:, None].expand_as(masks)[masks].double()
    got = ibot_loss(targets[masks], scores[masks], weights, n_images=3)
    torch.testing.assert_close(got, torch.tensor(expected).double())
