DDPM.timesteps = property(lambda self: 0, lambda self, value: None)
DDPM.img_shape = property(lambda self: (0, 0, 0), lambda self, value: None)
DDPM.p_sample_loop = lambda self, labels: torch.zeros(len(labels), 0, 0, 0)
DDPM.q_sample = lambda self, x_start, t, noise=None: x_start[:0]
DDPM.p_sample = lambda self, x, label, t, t_index: x[:0]
