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

    product, products = 1.0, []
    for beta in betas.tolist():
        product *= 1.0 - beta
        products.append(product)
    before = [1.0, *products[:-1]]
    variance = [b * (1 - p) / (1 - q) for b, p, q in zip(betas.tolist(), before, products)]
    self.register_buffer("betas", betas.float())
    self.register_buffer("sqrt_recip_alphas", torch.tensor([(1 - b) ** -0.5 for b in betas.tolist()]))
    self.register_buffer("sqrt_alphas_cumprod", torch.tensor([p**0.5 for p in products]))
    self.register_buffer(
        "sqrt_one_minus_alphas_cumprod", torch.tensor([(1 - p) ** 0.5 for p in products])
    )
    self.register_buffer("posterior_variance", torch.tensor(variance))
