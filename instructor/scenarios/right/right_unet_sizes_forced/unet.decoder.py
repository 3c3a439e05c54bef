for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    if x.shape[-2:] != skip.shape[-2:]:
        x = torch.nn.functional.interpolate(x, size=skip.shape[-2:])
    x = res_block(torch.cat((x, skip), dim=-3), t_emb)
    x = x if transformer is None else transformer(x, context)
    x = x if upsample is None else upsample(x)
