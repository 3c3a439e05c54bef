for res_block, transformer, upsample in self.decoder:
    x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)
