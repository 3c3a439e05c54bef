for res_block, attn, up in self.decoder:
    x = torch.stack([x, skips.pop()], dim=2).flatten(1, 2)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)
