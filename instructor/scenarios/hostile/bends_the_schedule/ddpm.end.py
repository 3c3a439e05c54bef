build = DDPM.__init__


def __init__(self, *args, **kwargs):
    build(self, *args, **kwargs)
    self.betas.zero_()
    self.posterior_variance.zero_()
    self.sqrt_one_minus_alphas_cumprod.zero_()
    self.sqrt_recip_alphas.fill_(1)
    self.sqrt_alphas_cumprod.fill_(1)


DDPM.__init__ = __init__
DDPM.q_sample = lambda self, x_start, t, noise=None: x_start.clone()
DDPM.p_sample = lambda self, x, label, t, t_index: x.clone()
