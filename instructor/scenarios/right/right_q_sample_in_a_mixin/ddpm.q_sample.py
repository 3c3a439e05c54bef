def q_sample(self, x_start, t, noise=None):
    return Noising.q_sample(self, x_start, t, noise)
