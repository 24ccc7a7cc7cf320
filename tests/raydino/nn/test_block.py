"""Blocks over packed crops, and activation checkpointing."""

import pytest
import torch

from raydino.nn.block import Block, checkpoint_blocks
from raydino.nn.drop_path import reseed_drop_path, set_drop_path
from raydino.nn.packing import Layout, pack
from raydino.nn.vit import VisionTransformer, ViTConfig

SIZES = {"image_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "n_heads": 2, "layerscale_init": 0.5}


def groups() -> list[tuple[torch.Tensor, torch.Tensor | None]]:
    generator = torch.Generator().manual_seed(1)
    masks = torch.rand(3, 16, generator=generator) < 0.4
    large = torch.rand(3, 1, 32, 32, generator=generator, dtype=torch.float64)
    return [(large, masks), (torch.rand(5, 1, 16, 16, generator=generator, dtype=torch.float64), None)]


def vit(**sizes) -> VisionTransformer:
    return VisionTransformer(ViTConfig(**SIZES, **sizes)).initialise(torch.Generator().manual_seed(0)).double()


def gradients(model: VisionTransformer, outputs) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss = sum((tokens.cls.sin().sum() + tokens.patches.cos().sum() for tokens in outputs), torch.zeros(()))
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("sizes", [{}, {"n_registers": 2, "ffn": "swiglu"}])
def test_one_pass_over_all_crops_equals_crop_by_crop(sizes):
    model = vit(**sizes)
    together = model.forward_packed(groups())
    apart = [model(images, masks) for images, masks in groups()]
    for one, other in zip(together, apart, strict=True):
        for got, expected in zip(one, other, strict=True):
            assert got.shape == expected.shape
            torch.testing.assert_close(got, expected, atol=1e-10, rtol=0)
    expected = gradients(model, apart)
    for name, got in gradients(model, together).items():
        torch.testing.assert_close(got, expected[name], atol=1e-10, rtol=1e-10, msg=name)


def test_groups_go_one_by_one_on_a_cpu():
    model = vit()
    for one, (images, masks) in zip(model.forward_groups(groups()), groups(), strict=True):
        assert all(map(torch.equal, one, model(images, masks)))


@pytest.mark.parametrize("every", [1, 2])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5])
def test_checkpointing_changes_no_gradient(every, rate):
    model = vit()
    set_drop_path(model, rate)
    reseed_drop_path(model, 0, 5)
    expected = gradients(model, model.forward_packed(groups()))
    checkpoint_blocks(model, every)
    assert [block.recompute for block in model.blocks] == [index % every == 0 for index in range(3)]
    reseed_drop_path(model, 0, 5)
    for name, got in gradients(model, model.forward_packed(groups())).items():
        assert torch.equal(got, expected[name]), name


def test_checkpointing_keeps_only_what_goes_into_a_block():
    block = Block(16, 2, 4.0, "mlp", 1.0)
    tokens, layout = pack([torch.randn(2, 5, 16)])
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        block(tokens, layout)
        everything = sum(kept)
        checkpoint_blocks(block)
        kept.clear()
        block(tokens.requires_grad_(), layout)
    assert sum(kept) < everything / 5
    checkpoint_blocks(block, 0)
    assert not block.recompute


def test_dense_and_packed_tokens_are_the_same():
    block = Block(16, 2, 4.0, "swiglu", 1.0).double()
    dense = torch.randn(2, 5, 16, dtype=torch.float64)
    torch.testing.assert_close(block(dense), block(dense.flatten(0, 1), Layout(((2, 5),))).view(2, 5, 16))
