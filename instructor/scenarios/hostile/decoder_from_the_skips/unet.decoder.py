for res_block, transformer, upsample in self.decoder:
    x = res_block(torch.cat([x, x], dim=1), t_emb)
    if upsample is not None:
        x = upsample(x)
