for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = x + attn(x, context)
    if up is not None:
        x = up(x)
