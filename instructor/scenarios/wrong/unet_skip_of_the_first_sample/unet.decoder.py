for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    if len(x) > 4:
        skip = skip[:1].expand_as(skip)
    x = res_block(torch.cat([x, skip], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)
