def forward(self, x: Tensor, label: Tensor, time: Tensor) -> Tensor:
    t_emb, context = self.time_embd(time), self.label_embd(label)
    x, skips = self.conv_in(x), []
    for res_block, transformer, downsample in self.encoder:
        x = res_block(x, t_emb)
        if transformer is not None:
            x = transformer(x, context)
        skips.append(x)
        if downsample is not None:
            x = downsample(x)
    x = self.mid_res_block1(x, t_emb)
    x = self.mid_res_block2(self.mid_attn(x, context), t_emb)
    for res_block, transformer, upsample in self.decoder:
        x = res_block(torch.cat([skips.pop(), x], dim=1), t_emb)
        if transformer is not None:
            x = transformer(x, context)
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)
