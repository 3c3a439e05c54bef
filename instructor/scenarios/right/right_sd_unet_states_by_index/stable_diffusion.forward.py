def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))
    kept = {0: self.conv_in(x)}
    for members in self.encoder:
        h = members[0](kept[len(kept) - 1], t_emb=t_emb)
        if members[1] is not None:
            h = members[1](h, context=context)
        kept[len(kept)] = h
        if members[2] is not None:
            kept[len(kept)] = members[2](h)
    h = self.mid_res_block2(
        self.mid_attn(self.mid_res_block1(kept[len(kept) - 1], t_emb), context), t_emb
    )
    for i, members in enumerate(self.decoder, start=1):
        h = members[0](torch.concat((h, kept[len(kept) - i]), 1), t_emb=t_emb)
        for member, more in ((members[1], [context]), (members[2], [])):
            h = h if member is None else member(h, *more)
    return self.final_conv(h)
