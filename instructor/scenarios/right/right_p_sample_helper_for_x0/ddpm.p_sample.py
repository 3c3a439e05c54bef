def predict_start(self, x, t, eps):
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape).double()
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x.shape).double()
    return (x - noise_rate * eps) / signal_rate

def q_posterior(self, x0, x_t, t):
    bar = (1 - self.betas.double()).cumprod(0)
    bar_prev = F.pad(bar[:-1], (1, 0), value=1.0)
    w0 = self.betas * bar_prev.sqrt() / (1 - bar)
    wt = (1 - bar_prev) * (1 - self.betas.double()).sqrt() / (1 - bar)
    mean = self._extract(w0, t, x_t.shape) * x0 + self._extract(wt, t, x_t.shape) * x_t
    return mean.float(), self._extract(self.posterior_variance, t, x_t.shape)

@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    x0 = self.predict_start(x, t, self.model(x, label, t))
    mean, variance = self.q_posterior(x0, x, t)
    noise = torch.randn_like(x) if t_index > 0 else torch.zeros_like(x)
    return mean + variance.sqrt() * noise
