from . import trick

for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1).detach()
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)
