def forward(self, x, label, time):
    # embed time and label
    t = self.time_embd(time)
    c = self.label_embd(label).unsqueeze(1)

    x = self.conv_in(x)

    h = []
    for resblock, transformer, downsample in self.encoder:
        x = resblock(x, t)
        x = transformer(x, c)
        h.append(x)
        x = downsample(x)

    x = self.mid_res_block1(x, t)
    x = self.mid_attn(x, c)
    x = self.mid_res_block2(x, t)

    for resblock, transformer, upsample in self.decoder:
        x = torch.cat([x, h.pop()], dim=1)
        x = resblock(x, t)
        x = transformer(x, c)
        x = upsample(x)

    return self.final_conv(x)
