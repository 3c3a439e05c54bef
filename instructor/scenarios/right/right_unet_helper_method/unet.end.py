def _decode_level(self, level, x, skip, t_emb, context):
    res_block, transformer, upsample = level
    x = res_block(torch.cat([x, skip], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    return x if upsample is None else upsample(x)


UNet._decode_level = _decode_level
