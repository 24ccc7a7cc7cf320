import torch
from torch import nn

from adapters.cross_attention import CrossAttention


def test_it_is_multi_head_attention_of_learnt_queries() -> None:
    """Against torch's, which makes a key and a value of every token, in float64."""
    torch.manual_seed(0)
    ours = CrossAttention(10, 12, n_heads=3, n_queries=4).double()
    reference = nn.MultiheadAttention(12, 3, bias=False, kdim=10, vdim=10, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        reference.q_proj_weight.copy_(torch.eye(12))
        reference.k_proj_weight.copy_(ours.key.flatten(0, 1))
        reference.v_proj_weight.copy_(ours.value.flatten(0, 1))
        reference.out_proj.weight.copy_(torch.eye(12))
    tokens = torch.randn(5, 7, 10, dtype=torch.float64)
    expected, weights = reference(ours.query.flatten(1).expand(5, -1, -1), tokens, tokens, average_attn_weights=False)
    torch.testing.assert_close(ours(tokens), expected)
    torch.testing.assert_close(ours.weights(tokens).transpose(1, 2), weights)
