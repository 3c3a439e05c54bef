build = DDPM.__init__


def __init__(self, *args, **kwargs):
    build(self, *args, **kwargs)
    for values in self.buffers():
        if values.dim() == 1:
            values.fill_(float("nan"))


DDPM.__init__ = __init__
DDPM.q_sample = lambda self, x_start, t, noise=None: x_start * float("nan")
DDPM.p_sample = lambda self, x, label, t, t_index: x * float("nan")
