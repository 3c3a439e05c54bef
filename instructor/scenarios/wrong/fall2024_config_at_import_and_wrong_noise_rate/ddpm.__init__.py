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
        assert vae_encoder_weights is not None
        assert vae_decoder_weights is not None
        self.vae = TAESD(vae_encoder_weights, vae_decoder_weights)
        # freeze the encoder and the decoder
        for p in self.vae.parameters():
            p.requires_grad = False
        img_shape = (4, img_shape[1] // 8, img_shape[2] // 8)
    self.img_shape = img_shape

    self.model = UNet(
        dim,
        context_dim,
        num_classes,
        in_channels=img_shape[0],
        out_channels=img_shape[0],
        dim_mults=dim_mults,
        attn_levels=attn_levels,
    )

    # define beta schedule
    if self.use_vae:
        self.betas = quadratic_beta_schedule(timesteps=timesteps)
    else:
        self.betas = linear_beta_schedule(timesteps, *BETAS)

    # define alphas
    alphas = 1.0 - self.betas
    alphas_cumprod = torch.cumprod(alphas, axis=0)
    alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
    self.sqrt_recip_alphas = torch.sqrt(1.0 / alphas)

    # forward process
    self.sqrt_alphas_cumprod = torch.sqrt(alphas_cumprod)
    self.sqrt_one_minus_alphas_cumprod = torch.sqrt(1.0 - alphas_cumprod)

    # reverse process
    self.posterior_variance = self.betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)
