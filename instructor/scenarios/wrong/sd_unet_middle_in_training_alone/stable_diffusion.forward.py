def forward(self, x, context, time):
    t_emb = self.time_embd(self.time_pe(time).to(x.dtype))

    def apply(res_block, transformer, x):
        x = res_block(x, t_emb)
        return x if transformer is None else transformer(x, context)

    states = [self.conv_in(x)]
    for res_block, transformer, downsample in self.encoder:
        states.append(apply(res_block, transformer, states[-1]))
        if downsample is not None:
            states.append(downsample(states[-1]))
    x = states[-1]
    if self.training:
        x = apply(self.mid_res_block1, self.mid_attn, x)
        x = self.mid_res_block2(x, t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = apply(res_block, transformer, torch.cat([x, states.pop()], dim=1))
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)
