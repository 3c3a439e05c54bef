# Right implementations of flow matching, written in other ways; ../README.md says how to add one.


# ==== fm_right_lerp
# about: Mixes with torch.lerp.
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t[:, None, None, None]
    return torch.lerp(noise, x_start, t)


# ==== fm_right_einops_like
# about: Multiplies by einsum instead of more axes.
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    return torch.einsum("b,bchw->bchw", t, x_start) + torch.einsum("b,bchw->bchw", 1 - t, noise)


# ==== fm_right_from_the_noise
# about: Writes the line as noise plus t times the velocity.
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    return noise + t.view(-1, 1, 1, 1) * (x_start - noise)


# ==== fm_right_double_precision
# about: Mixes in double precision and rounds once.
# in: fm.interpolate
def interpolate(self, x_start, t, noise):
    t = t.double().view(-1, 1, 1, 1)
    return (t * x_start.double() + (1 - t) * noise.double()).to(x_start.dtype)


# ==== fm_right_keywords
# about: Calls the network by keywords in another order.
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    x_t = self.interpolate(x_1, t, noise)
    velocity = self.model(time=t, x=x_t, label=label)
    return (velocity - (x_1 - noise)).pow(2).mean()


# ==== fm_right_helper
# about: Has helper methods for the line and its velocity.
# in: fm.end
def along(start, end, t):
    return start + t.reshape(-1, *[1] * (start.dim() - 1)) * (end - start)


def velocity(start, end):
    return end - start

# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    predicted = self.model(along(noise, x_1, t), label, t)
    return F.mse_loss(predicted, velocity(noise, x_1))


# ==== fm_right_inlined_loss
# about: Mixes inside compute_loss and averages by hand.
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    s = t.reshape(len(t), 1, 1, 1)
    x_t = s * x_1 + (1.0 - s) * noise
    error = self.model(x_t, label, t) - x_1 + noise
    return error.square().flatten(1).mean(dim=1).mean()


# ==== fm_right_loss_in_chunks
# about: Asks the network for a part of the batch at a time.
# judge_only: true
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    x_t = self.interpolate(x_1, t, noise)
    pieces = [
        self.model(a, b, c) for a, b, c in zip(x_t.split(5), label.split(5), t.split(5))
    ]
    return F.mse_loss(torch.cat(pieces), x_1 - noise)


# ==== fm_right_own_uniform_times
# about: Draws times with an operation in place.
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    if self.logit_normal is None:
        return torch.empty(number, device=device).uniform_(0, 1, generator=generator)
    mean, std = self.logit_normal
    logits = torch.empty(number, device=device).normal_(mean, std, generator=generator)
    return 1 / (1 + torch.exp(-logits))


# ==== fm_right_stratified_times
# about: Spreads the times evenly and shuffles them.
# in: fm.draw_t
def draw_t(self, number, device, generator=None):
    order = torch.randperm(number, generator=generator, device=device)
    u = (order + torch.rand(number, generator=generator, device=device)) / number
    if self.logit_normal is None:
        return u
    mean, std = self.logit_normal
    z = torch.special.ndtri(u.clamp(1e-6, 1 - 1e-6))
    return (mean + std * z).sigmoid()


# ==== fm_right_velocity_by_subtraction
# about: Names the target first and uses torch.sub.
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    target = torch.sub(x_1, noise)
    point = self.interpolate(x_1, t, noise)
    return torch.mean((target - self.model(point, label, t)) ** 2)


# ==== fm_right_linspace
# about: Takes the times of torch.linspace.
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    times = torch.linspace(0, 1, self.timesteps + 1, device=x.device)
    for t, t_next in zip(times[:-1], times[1:]):
        velocity = self.model(x, labels, t.expand(len(x)))
        x = x + (t_next - t) * velocity
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_right_arange
# about: Takes the times of torch.arange, in double precision.
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    dt = 1.0 / self.timesteps
    for t in torch.arange(self.timesteps, dtype=torch.float64, device=x.device) * dt:
        x = x + dt * self.model(x, labels, t.repeat(len(x)).float())
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_right_while_loop
# about: Counts the time up in a while loop.
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    i = 0
    while i < self.timesteps:
        t = torch.full_like(labels, i, dtype=torch.float32) / self.timesteps
        x = torch.add(x, self.model(x, labels, t), alpha=1 / self.timesteps)
        i += 1
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_right_in_place
# about: Moves x in place.
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    n = self.timesteps
    for i in range(n):
        x += self.model(x.clone(), labels, x.new_full((len(x),), i / n)) / n
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_right_sums_velocities
# about: Adds the velocities up, and divides once.
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    n, moved = self.timesteps, torch.zeros_like(x)
    for i in range(n):
        moved = moved + self.model(x + moved / n, labels, x.new_full((len(x),), i / n))
    x = x + moved / n
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_right_generate_in_chunks
# about: Draws a part of the pictures at a time.
# judge_only: true
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    pictures = []
    for some in labels.split(7):
        x = torch.randn(len(some), *self.img_shape, device=labels.device)
        for i in range(self.timesteps):
            x = self.step(x, some, i / self.timesteps, (i + 1) / self.timesteps)
        pictures.append(self.postprocess(self.vae.decoder(x) if self.use_vae else x))
    return torch.cat(pictures)


# ==== fm_right_restores_the_mode
# about: Draws in evaluation mode and restores the mode.
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    training = self.training
    self.eval()
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    self.train(training)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_right_without_decorator
# about: Uses inference inside a with statement.
# in: fm.generate
def generate(self, labels):
    with torch.no_grad():
        x = torch.randn(len(labels), *self.img_shape, device=labels.device)
        for i in range(self.timesteps):
            x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
        return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_right_thousandths_throughout
# about: Multiplies the network's time by a thousand, in the loss and in sampling.
# judge_only: true
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, 1000 * t)
    return F.mse_loss(velocity, x_1 - noise)

# in: fm.step
@torch.no_grad()
def step(self, x, label, t, t_next):
    velocity = self.model(x, label, torch.full((len(x),), 1000 * t, device=x.device))
    return x + (t_next - t) * velocity


# ==== fm_right_fall2025_logit_normal
# about: A hand-in of fall 2025 draws logit-normal times.
# base: fall2025
# in: fm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        x_start = self.vae.encoder(x_start).detach()
    if noise is None:
        noise = torch.randn_like(x_start)
    tau = torch.randn(len(x_start), device=x_start.device).sigmoid()
    weight = tau[:, None, None, None]
    x_tau = weight * x_start + (1 - weight) * noise
    return F.mse_loss(self.model(x_tau, label, tau), x_start - noise)


# ==== fm_right_fall2025_thousandths
# about: A hand-in of fall 2025 multiplies tau by a thousand for its network.
# base: fall2025
# in: fm.compute_loss
def compute_loss(self, x_start, label, noise=None):
    if self.use_vae:
        x_start = self.vae.encoder(x_start).detach()
    noise = torch.randn_like(x_start) if noise is None else noise
    tau = torch.rand(len(x_start), device=x_start.device)
    x_tau = torch.lerp(noise, x_start, tau.view(-1, 1, 1, 1))
    return F.mse_loss(self.model(x_tau, label, tau * 1000), x_start - noise)

# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn((len(labels), *self.img_shape), device=labels.device)
    for tau in torch.arange(0, self.timesteps, device=labels.device) / self.timesteps:
        x = x + self.model(x, labels, (tau * 1000).expand(len(labels))) / self.timesteps
    x = self.vae.decoder(x) if self.use_vae else (x + 1) / 2
    return x.clamp(0.0, 1.0)


# ==== fm_right_fall2025_inherits
# about: A hand-in of fall 2025 whose FM is a DDPM with another loss.
# base: fall2025
# file: code/libs/fm.py
import torch
import torch.nn.functional as F

from libs.ddpm import DDPM


class FM(DDPM):
    """A DDPM whose loss and sampling are those of a flow."""

    def compute_loss(self, x_start, label, noise=None, t=None):
        if self.use_vae:
            with torch.no_grad():
                x_start = self.vae.encoder(x_start)
        if noise is None:
            noise = torch.randn_like(x_start)
        if t is None:
            t = torch.rand(x_start.size(0), device=x_start.device)
        tau = t.view(-1, 1, 1, 1)
        v = self.model(tau * x_start + (1 - tau) * noise, label, t)
        return F.mse_loss(v, x_start - noise)

    @torch.no_grad()
    def generate(self, labels):
        x = torch.randn((len(labels), *self.img_shape), device=labels.device)
        dt = 1 / self.timesteps
        for i in range(self.timesteps):
            x = x + dt * self.model(x, labels, torch.ones_like(labels) * (i * dt))
        return self.postprocess(self.vae.decoder(x) if self.use_vae else x)
