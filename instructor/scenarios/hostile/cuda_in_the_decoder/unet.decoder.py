for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x.cuda(), skips.pop().cuda()], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)
