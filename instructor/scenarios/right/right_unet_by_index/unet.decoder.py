for i in range(len(self.decoder)):
    block, attention, upsample = self.decoder[i]
    h = torch.cat((x, skips[-(i + 1)]), 1)
    x = block(h, t_emb)
    x = attention(x, context) if attention is not None else x
    x = upsample(x) if upsample is not None else x
