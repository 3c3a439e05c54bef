for (res_block, attn, up), skip in zip(self.decoder, skips):
    skip = torch.nn.functional.interpolate(skip, size=x.shape[2:])
    skip = skip.repeat(1, -(-x.shape[1] // skip.shape[1]), 1, 1)[:, : x.shape[1]]
    x = res_block(torch.cat([x, skip], dim=1), t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)
