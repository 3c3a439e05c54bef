for res_block, transformer, upsample in self.decoder:
    skip = skips[-1]
    del skips[-1]
    joined = x.new_zeros(x.shape[0], x.shape[1] + skip.shape[1], *x.shape[2:])
    joined[:, : x.shape[1]] = x
    joined[:, x.shape[1] :] = skip
    x = res_block(joined, t_emb)
    for layer, args in ((transformer, (context,)), (upsample, ())):
        if layer is not None:
            x = layer(x, *args)
