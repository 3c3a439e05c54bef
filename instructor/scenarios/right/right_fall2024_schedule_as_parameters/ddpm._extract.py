def _extract(self, a, t, x_shape):
    return a[t].view(-1, *(1,) * (len(x_shape) - 1))
