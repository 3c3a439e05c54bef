def forward(self, x, label, time):
    emb, ctx = self.time_embd(time), self.label_embd(label)
    h = self.conv_in(x)
    stack = deque()
    for block, attn, down in self.encoder:
        h = block(h, emb)
        if attn is not None:
            h = attn(h, ctx)
        stack.append(h)
        h = h if down is None else down(h)
    h = self.mid_res_block2(self.mid_attn(self.mid_res_block1(h, emb), ctx), emb)
    for block, attn, up in self.decoder:
        h = block(torch.cat([h, stack.pop()], dim=1), emb)
        if attn is not None:
            h = attn(h, ctx)
        h = h if up is None else up(h)
    return self.final_conv(h)
