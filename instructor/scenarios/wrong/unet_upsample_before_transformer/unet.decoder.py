for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if up is not None:
        x = up(x)
    if attn is not None:
        x = attn(x, context)
