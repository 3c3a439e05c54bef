def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    c_skip = torch.zeros(len(x), 1, 1, 1) + c_skip
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)
