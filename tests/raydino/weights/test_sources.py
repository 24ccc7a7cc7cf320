"""What was read from other people's files gives transformers' tokens to 1e-5, at every size."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from raydino.errors import UserError
from raydino.nn.sizes import SIZES, vit_config
from raydino.nn.vit import VisionTransformer
from raydino.testing.tiny import tiny_encoder
from raydino.weights.adopt import with_positions
from raydino.weights.sources import IMAGENET_MEAN, ForeignViT, read_vit


def films(side: int, channels: int = 3) -> torch.Tensor:
    return torch.randn(1, channels, side, side, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def tokens(vit: ForeignViT, images: torch.Tensor) -> torch.Tensor:
    network = VisionTransformer(vit.config).eval()
    network.load_state_dict(vit.state)
    cls, registers, patches = network(images)
    return torch.cat([cls[:, None], registers, patches.flatten(1, 2)], dim=1)


@torch.no_grad()
def expected(model, images: torch.Tensor) -> torch.Tensor:
    return model(pixel_values=images).last_hidden_state


def assert_same(found: torch.Tensor, wanted: torch.Tensor) -> None:
    assert wanted.std() > 0.5  # the tokens are no zeros
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "n_registers"), [("ti", 0), ("s", 0), ("s", 4), ("b", 4), ("l", 0), ("g", 4)])
def test_official_checkpoints_of_every_size(size, n_registers, tmp_path, random_dinov2, official_layout):
    model = random_dinov2(size, n_registers=n_registers)
    torch.save(official_layout(model), tmp_path / "official.pth")
    vit = read_vit(tmp_path / "official.pth")
    assert vit.config == vit_config(
        size,
        patch_size=14,
        image_size=224,
        depth=2,
        n_registers=n_registers,
        channels=3,
        layerscale_init=1.0,
        position_resize="antialias" if n_registers else "offset",
    )
    assert_same(tokens(vit, films(224)), expected(model, films(224)))
    as_in_transformers = vit if n_registers else with_positions(vit, "size", None)
    assert_same(tokens(as_in_transformers, films(280)), expected(model, films(280)))


@pytest.mark.parametrize(("size", "n_registers"), [("ti", 4), ("s", 0), ("s", 4), ("b", 0), ("l", 4), ("g", 0)])
def test_hugging_face_directories_of_every_size(size, n_registers, tmp_path, random_dinov2):
    model = random_dinov2(size, n_registers=n_registers)
    model.save_pretrained(tmp_path)
    vit = read_vit(tmp_path)
    assert vit.config.n_heads == SIZES[size].n_heads
    for side in (224, 280):
        assert_same(tokens(vit, films(side)), expected(model, films(side)))


def test_from_518_to_224(tmp_path, random_dinov2, official_layout):
    """The official code's positions differ from transformers', and each can be had."""
    model = random_dinov2("s", image_size=518)
    torch.save(official_layout(model), tmp_path / "official.pth")
    model.save_pretrained(tmp_path / "hf")
    official, transformers = read_vit(tmp_path / "official.pth"), read_vit(tmp_path / "hf")
    assert_same(tokens(transformers, films(224)), expected(model, films(224)))
    assert_same(tokens(with_positions(official, "size", None), films(224)), expected(model, films(224)))

    square = model.embeddings.position_embeddings.data[:, 1:].view(1, 37, 37, -1).permute(0, 3, 1, 2)
    scaled = torch.nn.functional.interpolate(square, scale_factor=(16.1 / 37, 16.1 / 37), mode="bicubic")
    resized = scaled.permute(0, 2, 3, 1).reshape(1, 256, -1)
    model.embeddings.position_embeddings.data = torch.cat([model.embeddings.position_embeddings[:, :1], resized], 1)
    found = tokens(official, films(224))
    assert_same(found, expected(model, films(224)))
    assert (found - tokens(transformers, films(224))).abs().max() > 0.01
    at_224 = with_positions(official, None, 224)
    assert at_224.config.image_size == 224
    assert_same(tokens(at_224, films(224)), found)


def test_xray_dino_layout(tmp_path, random_dinov2, official_layout):
    """ViT-L/16 for 512 pixels in 4 chunks, without registers."""
    model = random_dinov2("l", depth=4, patch_size=16, image_size=512)
    state = official_layout(model, chunks=4)
    assert "blocks.3.3.attn.qkv.weight" in state
    torch.save(state, tmp_path / "xray_dino_vitl16.pth")
    vit = read_vit(tmp_path / "xray_dino_vitl16.pth")
    assert (vit.config.image_size, vit.config.patch_size, vit.config.n_heads) == (512, 16, 16)
    assert (vit.config.depth, vit.config.ffn, vit.config.position_resize) == (4, "mlp", "offset")
    assert vit.mean == IMAGENET_MEAN
    assert_same(tokens(vit, films(512)), expected(model, films(512)))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"teacher": state("backbone.") | {"dino_head.mlp.0.weight": torch.zeros(2)}, "iteration": 3},
        lambda state: {"model": state("module.teacher.backbone.") | {"student.backbone.cls_token": torch.zeros(1)}},
        lambda state: {"state_dict": {"teacher": state("module.backbone.")}, "optimizer": {"state": {}}},
    ],
)
def test_wrapped_in_a_training_checkpoint(wrap, tmp_path, random_dinov2, official_layout):
    model = random_dinov2(n_registers=4)
    torch.save(wrap(lambda prefix: official_layout(model, prefix=prefix)), tmp_path / "checkpoint.pth")
    vit = read_vit(tmp_path / "checkpoint.pth")
    assert_same(tokens(vit, films(224)), expected(model, films(224)))


def test_official_names_in_safetensors_and_half_precision(tmp_path, random_dinov2, official_layout):
    model = random_dinov2().half()
    save_file(official_layout(model), tmp_path / "official.safetensors")
    vit = read_vit(tmp_path / "official.safetensors")
    assert_same(tokens(vit, films(224)), expected(model.float(), films(224)))


def test_shards_a_head_on_top_and_no_mask_token(tmp_path, random_dinov2):
    model = random_dinov2("s", use_mask_token=False)
    model.save_pretrained(tmp_path, max_shard_size="4MB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert_same(tokens(read_vit(tmp_path), films(224)), expected(model, films(224)))
    state = {name: t for path in tmp_path.glob("*.safetensors") for name, t in load_file(path).items()}
    with_head = {f"dinov2.{name}": tensor for name, tensor in state.items()} | {"classifier.bias": torch.zeros(2)}
    save_file(with_head, tmp_path / "model.safetensors")
    vit = read_vit(tmp_path)
    assert set(vit.origin["files"]) == {"model.safetensors"}
    assert_same(tokens(vit, films(224)), expected(model, films(224)))


@pytest.mark.parametrize(
    ("preprocessor", "mean", "std"),
    [
        ({"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]}, [0.5, 0.4, 0.3], [0.2, 0.2, 0.1]),
        ({"image_mean": [102.0], "image_std": [51.0], "do_rescale": False}, [0.4], [0.2]),
        ({"image_mean": [0.5], "image_std": [0.25], "rescale_factor": 2 / 255}, [0.25], [0.125]),
        ({"do_normalize": False}, [0.0], [1.0]),
        ({}, [], []),
    ],
)
def test_normalisation_of_a_directory(preprocessor, mean, std, tmp_path, random_dinov2):
    random_dinov2().save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    vit = read_vit(tmp_path)
    assert vit.mean == pytest.approx(mean)
    assert vit.std == pytest.approx(std)


def without(name):
    return lambda state: {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("norm.bias"), "lacks 1 tensors, 'norm.bias' among them"),
        (without("blocks.1.mlp.fc2.weight"), "lacks 1 tensors, 'blocks.1.mlp.fc2.weight' among them"),
        (without("cls_token"), "holds no tensor 'cls_token', so it is no ViT of DINOv2"),
        (lambda s: s | {"head.weight": torch.zeros(3)}, "does not have, 'head.weight' among them"),
        (lambda s: s | {"blocks.7.norm1.bias": torch.zeros(192)}, r"not numbered from 0 on \(found 3 of them\)"),
        (lambda s: s | {"norm.bias": torch.zeros(7)}, r"its 'norm.bias' has the shape \[7\], and its other .*\[192\]"),
        (lambda s: s | {"cls_token": torch.zeros(1, 1, 100)}, "its width 100 is no multiple of 64"),
        (lambda s: s | {"pos_embed": torch.zeros(1, 12, 192)}, "its 12 position embeddings are not one for CLS and a"),
        (lambda s: s | {"patch_embed.proj.weight": torch.zeros(5)}, r"has the shape \[5\], so it is no ViT of DINOv2"),
        (lambda s: {"embeddings.cls_token": torch.zeros(1)}, "has Hugging Face's names; give its directory"),
        (lambda s: {"epoch": 3}, "holds no named tensors"),
        (lambda s: [torch.zeros(3)], "holds no named tensors"),
    ],
)
def test_other_official_files_are_refused(change, message, tmp_path, random_dinov2, official_layout):
    torch.save(change(official_layout(random_dinov2())), tmp_path / "w.pth")
    with pytest.raises(UserError, match=message) as fault:
        read_vit(tmp_path / "w.pth")
    assert fault.value.where == str(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model_type": "vit"}, "its model_type is 'vit'; one of dinov2, dinov2_with_registers"),
        ({"hidden_act": "relu"}, "its hidden_act is 'relu'; only models with 'gelu'"),
        ({"num_hidden_layers": 3}, "lacks 18 tensors, 'encoder.layer.2"),
        ({"num_hidden_layers": 1}, "holds 18 tensors that"),
        ({"patch_size": [14, 7]}, "'patch_size': Input should be a valid integer"),
    ],
)
def test_other_directories_are_refused(values, message, tmp_path, random_dinov2):
    random_dinov2().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | values))
    with pytest.raises(UserError, match=message):
        read_vit(tmp_path)


def test_an_encoder_of_raydino_needs_no_import(tmp_path):
    tiny_encoder(tmp_path / "encoder")
    with pytest.raises(UserError, match="is an artifact of raydino already"):
        read_vit(tmp_path / "encoder")
    with pytest.raises(UserError, match="no such file or directory"):
        read_vit(tmp_path / "nowhere")
