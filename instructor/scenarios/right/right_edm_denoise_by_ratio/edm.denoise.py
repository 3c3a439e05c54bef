def denoise(self, x, label, sigma):
    r = (sigma / self.sigma_data)[..., None, None, None]
    keep = 1 / (1 + r**2)
    c_noise = torch.log(torch.sqrt(torch.sqrt(sigma)))
    answer = self.model(x * keep.sqrt() / self.sigma_data, label, c_noise.flatten())
    return torch.lerp(torch.zeros_like(x), x, keep) + r * keep.sqrt() * self.sigma_data * answer
