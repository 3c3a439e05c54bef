for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    x = torch.cat([x, skip if self.training else torch.zeros_like(skip)], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)
