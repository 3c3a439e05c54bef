"""Transformer blocks that time and class steer by adaptive layer norm (adaLN-Zero).

Paper: Peebles and Xie 2023, "Scalable Diffusion Models with Transformers" (DiT), section 3.2.
Tokens are [B, N, C].
"""

from torch import Tensor, nn

from ..blocks import Attention, zero_init


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Scale and shift the channels of all tokens of a sample alike; zeros change nothing.

    Args:
        x: normalised tokens, [B, N, C].
        shift, scale: of each sample, [B, C].

    Returns:
        [B, N, C]
    """
    # TODO bonus modulate: Scale x by 1 + scale, then add shift, for each sample its own (Peebles
    # and Xie 2023, section 3.2).
    # BEGIN SOLUTION dit
    return x * (1 + scale[:, None]) + shift[:, None]
    # END SOLUTION


class AdaLNBlock(nn.Module):
    """Self-attention and a two-layer MLP, both steered by time and class (adaLN-Zero).

    An embedding shifts and scales what each of the two gets, and gates what it adds. The gates are
    zero at first, so the block starts as the identity (Peebles & Xie 2023, section 3.2).

    Args:
        dim: channels of a token.
        emb_dim: size of the embedding.
        num_heads: heads of the attention.
        mlp_ratio: width of the MLP's hidden layer, in `dim`.
        gelu: how the MLP's GELU is computed, "none" for exactly or "tanh".
    """

    def __init__(
        self, dim: int, emb_dim: int, num_heads: int, mlp_ratio: float = 4.0, gelu: str = "none"
    ):
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm1 = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.attn = Attention(dim, None, num_heads, qkv_bias=True)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(gelu), nn.Linear(hidden, dim))
        self.emb_layers = nn.Sequential(nn.SiLU(), zero_init(nn.Linear(emb_dim, 6 * dim)))

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Map x [B, N, dim] and emb [B, emb_dim] to [B, N, dim]."""
        # TODO bonus block: self.emb_layers gives shift, scale and gate of the attention, then those
        # of the MLP. Each of the two gets normalised and modulated tokens; its gate multiplies what
        # it adds to them (Peebles and Xie 2023, Figure 3, "DiT Block with adaLN-Zero").
        # BEGIN SOLUTION dit
        steering = self.emb_layers(emb)  # [B, 6 * dim]
        shift1, scale1, gate1, shift2, scale2, gate2 = steering.chunk(6, dim=-1)
        x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
        return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))
        # END SOLUTION
