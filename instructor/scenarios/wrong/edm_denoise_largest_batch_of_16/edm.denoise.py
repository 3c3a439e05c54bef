def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma = torch.where(torch.arange(len(x), device=x.device) < 16, sigma, sigma[0])
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)
