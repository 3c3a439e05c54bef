for res_block, _, upsample in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if upsample is not None:
        x = upsample(x)
