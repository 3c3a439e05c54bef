def denoise(self, x, label, sigma):
    d = self.sigma_data.item()
    sums = [s.item() ** 2 + d**2 for s in sigma]
    scaled = torch.stack([image / math.sqrt(total) for image, total in zip(x, sums, strict=True)])
    answers = self.model(scaled, label, torch.tensor([math.log(s) / 4 for s in sigma], device=x.device))
    out = [
        d**2 / total * image + s.item() * d / math.sqrt(total) * answer
        for image, answer, s, total in zip(x, answers, sigma, sums, strict=True)
    ]
    return torch.stack(out)
