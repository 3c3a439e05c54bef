skips.reverse()
for level, (res_block, transformer, upsample) in enumerate(self.decoder):
    x = torch.cat([x, skips[level]], dim=-3)
    x = res_block(x, t_emb)
    if transformer:
        x = transformer(x, context)
    if upsample:
        x = upsample(x)
