while skips:
    res_block, transformer, upsample = self.decoder[len(self.decoder) - len(skips)]
    x = res_block(x=torch.cat(tensors=[x, skips.pop()], dim=1), t_emb=t_emb)
    if isinstance(transformer, nn.Module):
        x = transformer(x, context=context)
    if isinstance(upsample, nn.Module):
        x = upsample(x)
