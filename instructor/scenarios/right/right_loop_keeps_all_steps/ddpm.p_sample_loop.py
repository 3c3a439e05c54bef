@torch.no_grad()
def p_sample_loop(self, labels):
    chain = [torch.randn([len(labels)] + list(self.img_shape), device=labels.device)]
    for i in sorted(range(self.timesteps), reverse=True):
        chain.append(self.p_sample(chain[-1], labels.long(), torch.full_like(labels, i), i))
    final = chain[-1]
    if self.vae is not None:
        final = self.vae.decoder(final)
    return self.postprocess(final)
