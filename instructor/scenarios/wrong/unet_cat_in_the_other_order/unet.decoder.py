for res_block, attn, up in self.decoder:
    x = torch.cat([skips.pop(), x], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)
