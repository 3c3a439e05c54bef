def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    x = self.conv_in(x)
    states = [x]
    for res_block, transformer, downsample in self.encoder:
        x = res_block(x, t_emb)
        states.append(x)
        x = x if transformer is None else transformer(x, context)
        if downsample is not None:
            x = downsample(x)
            states.append(x)
    x = apply(self.mid_res_block1, self.mid_attn, x)
    x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)
