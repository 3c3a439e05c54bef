def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *[int(n) for n in self.img_shape])
    odd = [Any(0), True, -1, 2**80, 1.0, float("nan"), float("inf"), torch.tensor([0.0, 7.0])]
    for i in range(len(self.betas)):
        x = self.p_sample(x, labels, torch.full((len(labels),), 10**9), odd[i % len(odd)])
    return x.clamp(0, 1)
