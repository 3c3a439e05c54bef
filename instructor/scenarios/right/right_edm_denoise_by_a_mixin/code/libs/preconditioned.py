"""The factors of Karras et al. 2022, Table 1."""


class Preconditioned:
    """Of a model with `sigma_data`."""

    def factors(self, sigma):
        """c_skip, c_out and c_in, each [B, 1, 1, 1]."""
        s, d = sigma.reshape(-1, 1, 1, 1), self.sigma_data
        total = s.square() + d.square()
        return d.square() / total, s * d * total.rsqrt(), total.rsqrt()
