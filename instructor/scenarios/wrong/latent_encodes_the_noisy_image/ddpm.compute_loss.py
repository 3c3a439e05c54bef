def compute_loss(self, x_start, label, t, noise=None):
    if noise is None:
        noise = torch.randn(len(x_start), *self.img_shape, device=x_start.device)
    if self.use_vae:
        pixel_noise = F.interpolate(noise[:, : x_start.shape[1]], scale_factor=8)
        with torch.no_grad():
            x_noisy = self.vae.encoder(self.q_sample(x_start, t, pixel_noise))
    else:
        x_noisy = self.q_sample(x_start, t, noise)
    predicted = self.model(x_noisy, label, t)
    return F.mse_loss(predicted, noise)
