def q_sample(self, x_start, t, noise=None):
    return x_start.as_subclass(Sly)
