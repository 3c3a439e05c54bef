for layers, skip in zip(self.decoder, skips[::-1]):
    x = layers[0](torch.concat([x, skip], dim=1), t_emb)
    if layers[1] is not None:
        x = layers[1](x, context)
    if layers[2] is not None:
        x = layers[2](x)
