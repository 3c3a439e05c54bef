for i, (res_block, transformer, upsample) in enumerate(self.decoder):
    x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if i == 0 or upsample is not None:
        x = upsample(x)
