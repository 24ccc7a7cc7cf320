"""A network goes through its pair of files and comes back, or the fault is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from raydino.errors import UserError
from raydino.nn.vit import ViTConfig
from raydino.ssl.network import HeadConfig, Network
from raydino.ssl.network_file import load_network, save_network

VIT = ViTConfig(image_size=16, patch_size=8, embed_dim=8, depth=1, n_heads=2)
HEADS = (
    HeadConfig(hidden_dim=8, bottleneck_dim=4, n_prototypes=6),
    HeadConfig(hidden_dim=4, bottleneck_dim=3, n_prototypes=5),
)


@pytest.fixture
def saved(tmp_path):
    network = Network(VIT, *HEADS).initialise(torch.Generator().manual_seed(0))
    save_network(tmp_path / "teacher", network.state_dict(), VIT, *HEADS, step=7)
    return tmp_path / "teacher", network


def test_round_trip(saved):
    directory, network = saved
    loaded, step = load_network(directory)
    assert step == 7
    assert (loaded.backbone.config, tuple(loaded.head_configs.values())) == (VIT, HEADS)
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    assert sorted(path.name for path in directory.iterdir()) == ["network.json", "network.safetensors"]


def test_again_replaces(saved):
    directory, network = saved
    save_network(directory, network.state_dict(), VIT, *HEADS, step=8)
    assert load_network(directory)[1] == 8


def test_other_sizes_than_the_weights(saved):
    directory, _ = saved
    path = directory / "network.json"
    description = json.loads(path.read_text())
    description["ibot_head"]["n_prototypes"] = 9
    path.write_text(json.dumps(description))
    with pytest.raises(UserError, match=r"do not fit network.json.*ibot_head.prototypes"):
        load_network(directory)


def test_a_tensor_is_missing(saved):
    directory, _ = saved
    path = directory / "network.safetensors"
    tensors = load_file(path)
    del tensors["backbone.cls_token"]
    save_file(tensors, path)
    with pytest.raises(UserError, match="backbone.cls_token"):
        load_network(directory)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"format": 1}', '{"format": 2, "step": 0, "vit": {}, "dino_head": {}, "ibot_head": {}}']
)
def test_broken_descriptions(saved, content):
    directory, _ = saved
    (directory / "network.json").write_text(content)
    with pytest.raises(UserError, match="network"):
        load_network(directory)


def test_half_a_file(saved):
    directory, _ = saved
    path = directory / "network.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="do not fit"):
        load_network(directory)
