def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    column = (-1, 1, 1, 1)
    return self.root_alpha_bar[t].view(column) * x_start + self.root_rest[t].view(column) * noise
