def denoise(self, x, label, sigma):
    c_skip, c_out, c_in = self.factors(sigma)
    return c_skip * x + c_out * self.model(time=sigma.log() / 4, label=label, x=c_in * x)
