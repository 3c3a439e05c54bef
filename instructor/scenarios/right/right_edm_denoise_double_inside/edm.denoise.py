def denoise(self, x, label, sigma):
    s, d = sigma.double().reshape(-1, 1, 1, 1), float(self.sigma_data)
    root = torch.sqrt(s * s + d * d)
    answer = self.model(x=(x / root).to(x.dtype), label=label, time=(torch.log(sigma) / 4))
    return ((d / root) ** 2 * x + s * d / root * answer).to(x.dtype)
