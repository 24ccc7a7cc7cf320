import torch

from adapters.standardise import Standardise


def test_batches_give_mean_0_and_std_1_and_a_constant_feature_becomes_0() -> None:
    features = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5, 0.1, 0]) + 3
    standardise = Standardise(4)
    standardise.observe(features.split(7))
    result = standardise(features)
    torch.testing.assert_close(result.mean(0), torch.zeros(4), atol=1e-4, rtol=0)
    torch.testing.assert_close(result.std(0, correction=0), torch.tensor([1.0, 1, 1, 0]), atol=1e-4, rtol=0)
