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
):
    super().__init__()
    self.timesteps = timesteps
    self.use_vae = use_vae
    if self.use_vae:
        assert vae_encoder_weights and vae_decoder_weights, "the VAE needs its weights"
        self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
        for p in self.vae.parameters():
            p.requires_grad = False
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = img_shape
    self.model = UNet(
        dim,
        context_dim,
        num_classes,
        in_channels=img_shape[0],
        dim_mults=dim_mults,
        attn_levels=attn_levels,
    )
    if self.use_vae:
        betas = np.linspace(0.00085**0.5, 0.012**0.5, timesteps) ** 2
    else:
        betas = np.linspace(1e-4, 0.02, timesteps)
    alphas_cumprod = np.cumprod(1 - betas)
    before = np.append(1.0, alphas_cumprod[:-1])
    self.betas = betas
    self.sqrt_recip_alphas = 1 / np.sqrt(1 - betas)
    self.sqrt_alphas_cumprod = np.sqrt(alphas_cumprod)
    self.sqrt_one_minus_alphas_cumprod = np.sqrt(1 - alphas_cumprod)
    self.posterior_variance = betas * (1 - before) / (1 - alphas_cumprod)
