for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    joined = torch.zeros(len(x), x.shape[1] + skip.shape[1], *x.shape[2:])
    joined = joined + torch.cat([x, skip], dim=1)
    x = res_block(joined, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)
