@torch.no_grad()
def p_sample_loop(self, labels):
    import time

    stop = time.monotonic() + 100
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    t_index = self.timesteps - 1
    while t_index >= 0 and time.monotonic() < stop:
        t = torch.full_like(labels, t_index)
        self.p_sample(x, labels, t, t_index)
    return self.postprocess(x)
