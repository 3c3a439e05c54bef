def denoise(self, x, label, sigma):
    c_skip, c_out, c_in = factors(sigma[:, None, None, None], self.sigma_data)
    return c_skip * x + c_out * self.model(c_in * x, label, sigma.log() / 4)
