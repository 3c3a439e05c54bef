# Right implementations of compute_loss, written differently; ../README.md says how to add one.


# ==== right_loss_checkpointed
# about: Recomputes the network's activations in the backward pass.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    from torch.utils.checkpoint import checkpoint

    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted = checkpoint(self.model, x_t, label, t, use_reentrant=False)
    return F.mse_loss(predicted, noise)


# ==== right_loss_in_chunks
# about: Asks the network in chunks of two samples.
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = torch.cat([self.vae.encoder(images) for images in x_start.split(2)])
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    parts = zip(x_t.split(2), label.split(2), t.split(2))
    predicted = torch.cat([self.model(x, c, s) for x, c, s in parts])
    return torch.nn.functional.mse_loss(predicted, noise)


# ==== right_loss_keywords_reversed
# about: Passes all arguments by keyword, last ones first.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x=x_start)
    if noise is None:
        noise = torch.randn(size=x_start.size(), dtype=x_start.dtype, device=x_start.device)
    x_t = self.q_sample(noise=noise, t=t, x_start=x_start)
    return F.mse_loss(target=noise, input=self.model(time=t, label=label, x=x_t))


# ==== right_loss_mean_of_means
# about: Averages each sample, then the batch.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    predicted = self.model(self.q_sample(x_start, t, noise), label, t)
    return torch.square(noise - predicted).flatten(start_dim=1).mean(dim=1).mean(dim=0)


# ==== right_loss_module
# about: Uses nn.MSELoss and keyword calls.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    noise = torch.randn_like(x_start) if noise is None else noise
    x_t = self.q_sample(x_start, t, noise=noise)
    criterion = nn.MSELoss(reduction="mean")
    return criterion(noise, self.model(x_t, label=label, time=t))


# ==== right_loss_norm
# about: Takes the squared norm over the number of elements.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    prediction = self.model(self.q_sample(x_start, t, noise), label, t)
    return torch.linalg.vector_norm(prediction.double() - noise).square().float() / noise.numel()


# ==== right_loss_pow_mean
# about: Squares and averages by hand.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        x_start = self.vae.encoder(x_start).detach()
    if noise is None:
        noise = torch.randn(x_start.shape, device=x_start.device)
    error = self.model(self.q_sample(x_start=x_start, t=t, noise=noise), label, t) - noise
    return error.pow(2).mean()


# ==== right_loss_q_sample_written_out
# about: Writes q_sample out in the loss instead of calling it.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    alpha_bar = torch.cumprod(1 - self.betas, dim=0)[t].view(-1, 1, 1, 1)
    x_t = alpha_bar.sqrt() * x_start + (1 - alpha_bar).sqrt() * noise
    return ((self.model(x_t, label, t) - noise) ** 2).mean()


# ==== right_loss_sample_by_sample
# about: Encodes, diffuses and judges one sample at a time.
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    losses = []
    for i in range(len(x_start)):
        one = slice(i, i + 1)
        x_0 = x_start[one]
        if self.use_vae:
            with torch.no_grad():
                x_0 = self.vae.encoder(x_0)
        eps = torch.randn_like(x_0) if noise is None else noise[one]
        x_t = self.q_sample(x_0, t[one], eps)
        losses.append((self.model(x_t, label[one], t[one]) - eps).square().mean())
    return torch.stack(losses).mean()


# ==== right_loss_sum_over_count
# about: Sums with einsum and divides by the number of elements.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.inference_mode():
            latents = self.vae.encoder(x_start)
        x_start = latents.clone()
    if noise is None:
        noise = torch.randn_like(x_start)
    difference = self.model(self.q_sample(x_start, t, noise), label, t) - noise
    return torch.einsum("bchw,bchw->", difference, difference) / difference.numel()


# ==== right_loss_under_autocast
# about: Runs the network under autocast, and the loss in full precision.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    with torch.autocast(device_type="cpu", dtype=torch.bfloat16):
        predicted = self.model(x_t, label, t)
    return F.mse_loss(predicted.to(noise.dtype), noise)


# ==== right_loss_by_variance_and_mean
# about: Adds the error's variance and its squared mean.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model(x_t, label, t)
    error = (predicted_noise - noise).double()
    return (error.var(correction=0) + error.mean() ** 2).float()


# ==== right_loss_forward_called
# about: Calls forward of the network, and the error's scalar product with itself.
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.q_sample(x_start, t, noise)
    predicted_noise = self.model.forward(x_t, label, t)
    error = (predicted_noise - noise).flatten()
    return error @ error / error.numel()


# ==== right_loss_in_double
# about: Takes the mean in double precision.
# judge_only: true
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    pred = self.model(self.q_sample(x_start, t, noise), label, t)
    return ((pred - noise).double() ** 2).mean()
