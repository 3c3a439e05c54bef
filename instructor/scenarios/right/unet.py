# Right implementations of unet, written differently; ../README.md says how to add one.


# ==== right_unet_by_index
# about: Walks the decoder by index and reads the skips from the end.
# in: unet.decoder
for i in range(len(self.decoder)):
    block, attention, upsample = self.decoder[i]
    h = torch.cat((x, skips[-(i + 1)]), 1)
    x = block(h, t_emb)
    x = attention(x, context) if attention is not None else x
    x = upsample(x) if upsample is not None else x


# ==== right_unet_filled_buffer
# about: Fills a new tensor with x and skip instead of cat.
# in: unet.decoder
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


# ==== right_unet_helper_method
# about: Decodes each level in a helper method.
# in: unet.decoder
for level in self.decoder:
    x = self._decode_level(level, x, skips.pop(), t_emb, context)

# in: unet.end
def _decode_level(self, level, x, skip, t_emb, context):
    res_block, transformer, upsample = level
    x = res_block(torch.cat([x, skip], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    return x if upsample is None else upsample(x)


UNet._decode_level = _decode_level


# ==== right_unet_keywords
# about: Calls the blocks by the keywords of their definition.
# in: unet.decoder
while skips:
    res_block, transformer, upsample = self.decoder[len(self.decoder) - len(skips)]
    x = res_block(x=torch.cat(tensors=[x, skips.pop()], dim=1), t_emb=t_emb)
    if isinstance(transformer, nn.Module):
        x = transformer(x, context=context)
    if isinstance(upsample, nn.Module):
        x = upsample(x)


# ==== right_unet_own_forward
# about: Rewrites the whole forward, with a stack that is a deque.
# in: unet.top
from collections import deque

# in: unet.forward
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


# ==== right_unet_recursion
# about: Decodes with a nested function that calls itself.
# in: unet.decoder
def decode(x, level):
    if level == len(self.decoder):
        return x
    res_block, transformer, upsample = self.decoder[level]
    x = res_block(torch.cat([x, skips[len(skips) - 1 - level]], dim=1), t_emb)
    x = x if transformer is None else transformer(x, context)
    return decode(x if upsample is None else upsample(x), level + 1)

x = decode(x, 0)


# ==== right_unet_sizes_forced
# about: Brings x to the size of the skip where they differ, which they never do.
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    if x.shape[-2:] != skip.shape[-2:]:
        x = torch.nn.functional.interpolate(x, size=skip.shape[-2:])
    x = res_block(torch.cat((x, skip), dim=-3), t_emb)
    x = x if transformer is None else transformer(x, context)
    x = x if upsample is None else upsample(x)


# ==== right_unet_truth_of_modules
# about: Asks for the truth of the modules instead of comparing with None.
# in: unet.decoder
skips.reverse()
for level, (res_block, transformer, upsample) in enumerate(self.decoder):
    x = torch.cat([x, skips[level]], dim=-3)
    x = res_block(x, t_emb)
    if transformer:
        x = transformer(x, context)
    if upsample:
        x = upsample(x)


# ==== right_unet_zip
# about: Zips the decoder with the reversed skips.
# in: unet.decoder
for layers, skip in zip(self.decoder, skips[::-1]):
    x = layers[0](torch.concat([x, skip], dim=1), t_emb)
    if layers[1] is not None:
        x = layers[1](x, context)
    if layers[2] is not None:
        x = layers[2](x)


# ==== right_unet_checkpointed_in_training
# about: Recomputes the residual blocks in the backward pass, in training mode only.
# in: unet.decoder
from torch.utils.checkpoint import checkpoint

for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    if self.training and torch.is_grad_enabled():
        x = checkpoint(res_block, x, t_emb, use_reentrant=False)
    else:
        x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== right_unet_decoder_in_halves
# about: Runs the decoder for one half of the batch, then for the other.
# in: unet.decoder
outputs = []
half = (len(x) + 1) // 2
for rows in (slice(0, half), slice(half, None)):
    h, left = x[rows], [skip[rows] for skip in skips]
    if not len(h):
        continue
    for res_block, transformer, upsample in self.decoder:
        h = res_block(torch.cat([h, left.pop()], dim=1), t_emb[rows])
        if transformer is not None:
            h = transformer(h, context[rows])
        if upsample is not None:
            h = upsample(h)
    outputs.append(h)
x = torch.cat(outputs)


# ==== right_unet_decoder_blocks_by_sample
# about: Gives each block of the decoder one sample at a time.
# in: unet.decoder
def one_by_one(part, x, *conditions):
    rows = zip(x.split(1), *(c.split(1) for c in conditions))
    return torch.cat([part(*row) for row in rows])

for res_block, transformer, upsample in self.decoder:
    x = one_by_one(res_block, torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        x = one_by_one(transformer, x, context)
    if upsample is not None:
        x = one_by_one(upsample, x)


# ==== right_unet_transformers_in_chunks
# about: Runs the decoder's transformers for three samples at a time, to save memory.
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        pieces = zip(x.split(3), context.split(3))
        x = torch.cat([transformer(h, c) for h, c in pieces])
    if upsample is not None:
        x = upsample(x)


# ==== right_unet_whole_network_by_sample
# about: Runs the whole network for one sample at a time.
# in: unet.forward
def forward(self, x, label, time):
    if len(x) > 1:
        rows = zip(x.split(1), label.split(1), time.split(1))
        return torch.cat([self(*row) for row in rows])
    t_emb, context = self.embed(label, time)
    x = self.conv_in(x)
    skips = []
    for res_block, transformer, downsample in self.encoder:
        x = res_block(x, t_emb)
        if transformer is not None:
            x = transformer(x, context)
        skips.append(x)
        if downsample is not None:
            x = downsample(x)
    x = self.middle(x, t_emb, context)
    for res_block, transformer, upsample in self.decoder:
        x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
        if transformer is not None:
            x = transformer(x, context)
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== right_unet_encoder_in_halves
# about: Rewrites the forward with an encoder that takes half of the batch at a time.
# in: unet.forward
def forward(self, x, label, time):
    t_emb, context = self.embed(label, time)
    half = (len(x) + 1) // 2
    kept = []
    for h, t, c in zip(self.conv_in(x).split(half), t_emb.split(half), context.split(half)):
        outputs = []
        for res_block, transformer, downsample in self.encoder:
            h = res_block(h, t)
            if transformer is not None:
                h = transformer(h, c)
            outputs.append(h)
            if downsample is not None:
                h = downsample(h)
        kept.append([*outputs, h])
    *skips, x = [torch.cat(pieces) for pieces in zip(*kept)]
    x = self.middle(x, t_emb, context)
    for res_block, transformer, upsample in self.decoder:
        x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
        if transformer is not None:
            x = transformer(x, context)
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== right_unet_by_reduce
# about: Folds the levels by functools.reduce, and calls forward of each part.
# in: unet.decoder
from functools import reduce

def level(x, parts):
    (res_block, transformer, upsample), skip = parts
    x = res_block.forward(torch.hstack([x, skip]), t_emb)
    x = transformer.forward(x, context) if transformer is not None else x
    return upsample.forward(x) if upsample is not None else x

x = reduce(level, zip(self.decoder, reversed(skips)), x)


# ==== right_unet_by_class
# about: Looks at the type of each module, as TimestepEmbedSequential does.
# in: unet.decoder
for level in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    for module in level:
        if isinstance(module, ResBlock):
            x = module(x, t_emb)
        elif isinstance(module, SpatialTransformer):
            x = module(x, context)
        elif isinstance(module, Upsample):
            x = module(x)


# ==== right_unet_by_class_name
# about: Looks at the names of the classes.
# in: unet.decoder
for level in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    for module in level:
        kind = module.__class__.__name__
        if kind == "ResBlock":
            x = module(x, t_emb)
        elif kind == "SpatialTransformer":
            x = module(x, context)
        elif kind == "Upsample":
            x = module(x)


# ==== right_unet_by_attribute
# about: Tells a transformer by its attribute.
# in: unet.decoder
for level in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = level[0](x, t_emb)
    for layer in list(level)[1:]:
        if layer is None:
            continue
        elif hasattr(layer, "transformer_blocks"):
            x = layer(x, context)
        else:
            x = layer(x)


# ==== right_unet_asserts_channels
# about: Asserts the channels that a residual block takes.
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    x = torch.cat([x, skip], dim=1)
    assert x.shape[1] == res_block.in_layers[0].num_channels, "channels do not match"
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)
