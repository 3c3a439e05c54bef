for res_block, transformer, upsample in self.decoder:
    x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        few = context[:2]
        x = transformer(x, few.repeat(len(x), *[1] * (few.ndim - 1))[: len(x)])
    if upsample is not None:
        x = upsample(x)
