@torch.no_grad()
def p_sample_loop(self, labels):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    plt.hist(x.flatten().numpy())
    plt.savefig("x0.png")
    plt.close()
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
