def __init__(
    self,
    img_shape=(3, 32, 32),
    timesteps=100,
    dim=64,
    context_dim=64,
    num_classes=10,
    dim_mults=(1, 2, 4),
    attn_levels=(0, 1),
    use_vae=False,
    vae_encoder_weights=None,
    vae_decoder_weights=None,
    *,
    betas=None,
):
    from .tiny_autoencoder import TAESD

    super().__init__()
    self.timesteps = timesteps
    self.use_vae = use_vae
    self.vae = None
    if use_vae:
        self.vae = TAESD(vae_encoder_weights, vae_decoder_weights).requires_grad_(False)
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = tuple(img_shape)
    self.model = UNet(
        dim, context_dim, num_classes, img_shape[0], dim_mults=dim_mults, attn_levels=attn_levels
    )
    if betas is None:
        betas = quadratic_betas(timesteps) if use_vae else linear_betas(timesteps)

    alpha_bar = torch.cumprod(1 - betas, dim=0)
    alpha_bar_prev = torch.cat([torch.ones(1, dtype=betas.dtype), alpha_bar[:-1]])
    variance = betas * (1 - alpha_bar_prev) / (1 - alpha_bar)
    self.register_buffer("beta_t", betas.float(), persistent=False)
    self.register_buffer("root_alpha_bar", alpha_bar.sqrt().float(), persistent=False)
    self.register_buffer("root_rest", (1 - alpha_bar).sqrt().float(), persistent=False)
    self.register_buffer("sigma", variance.sqrt().float(), persistent=False)

betas = property(lambda self: self.beta_t)
sqrt_recip_alphas = property(lambda self: (1 / (1 - self.beta_t)).sqrt())
sqrt_alphas_cumprod = property(lambda self: self.root_alpha_bar)
sqrt_one_minus_alphas_cumprod = property(lambda self: self.root_rest)
posterior_variance = property(lambda self: self.sigma**2)
