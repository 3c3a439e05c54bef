def decode(x, level):
    if level == len(self.decoder):
        return x
    res_block, transformer, upsample = self.decoder[level]
    x = res_block(torch.cat([x, skips[len(skips) - 1 - level]], dim=1), t_emb)
    x = x if transformer is None else transformer(x, context)
    return decode(x if upsample is None else upsample(x), level + 1)

x = decode(x, 0)
