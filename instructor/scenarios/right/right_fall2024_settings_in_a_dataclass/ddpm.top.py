from dataclasses import dataclass


@dataclass
class Settings:
    """Everything that a model is built with."""

    img_shape: tuple = (3, 32, 32)
    timesteps: int = 100
    dim: int = 64
    context_dim: int = 64
    num_classes: int = 10
    dim_mults: tuple = (1, 2, 4)
    attn_levels: tuple = (0, 1)
    use_vae: bool = False
    vae_encoder_weights: str | None = None
    vae_decoder_weights: str | None = None
