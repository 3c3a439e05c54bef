def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.inference_mode():
            latents = self.vae.encoder(x_start)
        x_start = latents.clone()
    if noise is None:
        noise = torch.randn_like(x_start)
    difference = self.model(self.q_sample(x_start, t, noise), label, t) - noise
    return torch.einsum("bchw,bchw->", difference, difference) / difference.numel()
