# Wrong implementations that must lose the points of unet; ../README.md says how to add one.


# ==== unet_buffer_on_the_cpu
# about: Writes x and the skip into a tensor that it makes on the CPU.
# fails: unet
# hint: made_elsewhere
# judge_only: true
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    joined = torch.zeros(len(x), x.shape[1] + skip.shape[1], *x.shape[2:])
    joined = joined + torch.cat([x, skip], dim=1)
    x = res_block(joined, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_cat_along_the_batch
# about: Joins along the batch instead of the channels.
# fails: unet
# hint: unet_input
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=0)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_cat_along_the_height
# about: Joins along the height instead of the channels.
# fails: unet
# hint: unet_input
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=2)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_cat_in_the_other_order
# about: Joins as cat([skip, x]).
# fails: unet
# hint: unet_cat_order
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([skips.pop(), x], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_channels_interleaved
# about: Interleaves the channels of x and skip.
# fails: unet
# hint: unet_input
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.stack([x, skips.pop()], dim=2).flatten(1, 2)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_context_of_two_samples
# about: Repeats the context of the first two samples for the whole batch.
# fails: unet
# hint: unet_condition
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        few = context[:2]
        x = transformer(x, few.repeat(len(x), *[1] * (few.ndim - 1))[: len(x)])
    if upsample is not None:
        x = upsample(x)


# ==== unet_context_zero
# about: Gives the transformers zeros instead of the class.
# fails: unet
# hint: unet_condition
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, torch.zeros_like(context))
    if up is not None:
        x = up(x)


# ==== unet_decoder_left_out
# about: Takes the finest encoder output as the decoder's, so that only the encoder remains.
# fails: unet
# hint: unet_no_decoder
# in: unet.decoder
x = skips[0]


# ==== unet_dropout_always_on
# about: Adds dropout that is on in eval mode, too.
# fails: unet
# hint: unet_not_passed_on
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    x = torch.nn.functional.dropout(x, 0.1)
    if up is not None:
        x = up(x)


# ==== unet_extra_activation
# about: Adds a ReLU after each level.
# fails: unet
# hint: unet_not_passed_on
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    x = torch.relu(x)
    if up is not None:
        x = up(x)


# ==== unet_extra_residual
# about: Adds the level's input to the transformer's output, which is residual already.
# fails: unet
# hint: unet_not_passed_on
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = x + attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_first_level_is_never_last
# about: Upsamples after the first level whatever follows, and so fails with a single level.
# fails: unet
# hint: unet_none_called
# judge_only: true
# in: unet.decoder
for i, (res_block, transformer, upsample) in enumerate(self.decoder):
    x = res_block(torch.cat([x, skips.pop()], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if i == 0 or upsample is not None:
        x = upsample(x)


# ==== unet_last_level_dropped
# about: Leaves out the finest level of the decoder.
# fails: unet
# hint: unet_block_missing
# in: unet.decoder
for res_block, attn, up in self.decoder[:-1]:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_last_skip_every_time
# about: Reads the last output at each level instead of taking it off the list.
# fails: unet
# hint: unet_skip_order
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips[-1]], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_no_skips_in_evaluation
# about: Joins x with zeros in evaluation mode.
# fails: unet
# hint: unet_input
# judge_only: true
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    x = torch.cat([x, skip if self.training else torch.zeros_like(skip)], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_no_transformer
# about: Leaves out the transformers.
# fails: unet
# hint: unet_transformer_missing
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if up is not None:
        x = up(x)


# ==== unet_no_upsample
# about: Leaves out the upsampling.
# fails: unet
# hint: unet_upsample_missing
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)


# ==== unet_raw_time
# about: Gives the residual blocks the raw time steps instead of their embedding.
# fails: unet
# hint: unet_condition
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, time.float()[:, None].expand_as(t_emb))
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_res_block_twice
# about: Runs the middle once more before each level.
# fails: unet
# hint: unet_not_passed_on
# in: unet.decoder
x = self.mid_attn(x, context)
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_skip_added
# about: Adds the encoder's output instead of joining it.
# fails: unet
# hint: unet_skip_added
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = x + skips.pop()
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_skip_added_and_doubled
# about: Adds the encoder's output and joins the sum with itself, so that the channels fit.
# fails: unet
# hint: unet_input
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = x + skips.pop()
    x = torch.cat([x, x], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_skip_detached
# about: Detaches the encoder's outputs, so that no gradient passes through the skips.
# fails: unet
# hint: unet_detached
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop().detach()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_skip_of_the_first_sample
# about: Joins all samples of a batch of more than 4 with the first sample of the encoder's output.
# fails: unet
# hint: unet_input
# judge_only: true
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    if len(x) > 4:
        skip = skip[:1].expand_as(skip)
    x = res_block(torch.cat([x, skip], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_skip_scaled
# about: Divides the encoder's output by sqrt(2), as another architecture does.
# fails: unet
# hint: unet_input
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop() / 2**0.5], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_skips_are_zeros
# about: Fills up with zeros instead of the encoder's output.
# fails: unet
# hint: unet_input
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, torch.zeros_like(x)], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_skips_in_forward_order
# about: Takes the encoder's outputs from the first on.
# fails: unet
# hint: unet_skip_order
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop(0)], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_skips_left_out
# about: Joins x with itself instead of the encoder's output.
# fails: unet
# hint: unet_no_skip
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, x], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_time_for_context
# about: Gives the transformers the time embedding instead of the class.
# fails: unet
# hint: unet_condition
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, t_emb)
    if up is not None:
        x = up(x)


# ==== unet_time_zero
# about: Gives the residual blocks zeros instead of the time embedding.
# fails: unet
# hint: unet_condition
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, torch.zeros_like(t_emb))
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_transformer_at_every_level
# about: Calls the transformer at levels that have none.
# fails: unet
# hint: unet_none_called
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_transformer_not_assigned
# about: Calls the transformers and drops their result.
# fails: unet
# hint: unet_not_passed_on
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_transformer_not_at_the_last_level
# about: Leaves out the transformer of the level that has no upsampling.
# fails: unet
# hint: unet_transformer_missing
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None and up is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_transformer_twice
# about: Runs each transformer twice.
# fails: unet
# hint: unet_order
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== unet_upsample_at_every_level
# about: Calls the upsampling at the last level, which has none.
# fails: unet
# hint: unet_none_called
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    x = up(x)


# ==== unet_upsample_before_transformer
# about: Upsamples before the transformer.
# fails: unet
# hint: unet_order
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if up is not None:
        x = up(x)
    if attn is not None:
        x = attn(x, context)


# ==== unet_upsample_by_interpolation
# about: Upsamples by plain interpolation instead of the level's module.
# fails: unet
# hint: unet_upsample_missing
# in: unet.decoder
for res_block, attn, up in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = torch.nn.functional.interpolate(x, scale_factor=2, mode="nearest")


# ==== unet_wrong_level_resized
# about: Takes the outputs in forward order and resizes what does not fit.
# fails: unet
# hint: unet_input
# in: unet.decoder
for (res_block, attn, up), skip in zip(self.decoder, skips):
    skip = torch.nn.functional.interpolate(skip, size=x.shape[2:])
    skip = skip.repeat(1, -(-x.shape[1] // skip.shape[1]), 1, 1)[:, : x.shape[1]]
    x = res_block(torch.cat([x, skip], dim=1), t_emb)
    if attn is not None:
        x = attn(x, context)
    if up is not None:
        x = up(x)


# ==== fall2024_identity_and_skips_in_order
# about: Levels hold nn.Identity in place of None; the decoder takes the skips first to last.
# base: fall2024
# fails: unet
# hint: unet_skip_order
# in: unet.__init__
def __init__(
    self,
    dim,
    context_dim,
    num_classes,
    in_channels=3,
    out_channels=None,
    dim_mults=(1, 2, 4),
    attn_levels=(0, 1),
    init_dim=None,
    num_groups=None,
    num_heads=None,
):
    super().__init__()
    init_dim = default(init_dim, dim)
    out_channels = default(out_channels, in_channels)
    num_groups = default(num_groups, 4)
    num_heads = default(num_heads, 4)
    self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)

    time_dim = dim * 4
    self.time_embd = nn.Sequential(
        SinusoidalPE(dim),
        nn.Linear(dim, time_dim),
        nn.GELU(),
        nn.Linear(time_dim, time_dim),
    )
    self.label_embd = LabelEmbedding(num_classes, context_dim)

    dims = [init_dim] + [dim * m for m in dim_mults]
    in_out = list(zip(dims[:-1], dims[1:]))

    self.encoder = nn.ModuleList([])
    for idx, (in_dim, out_dim) in enumerate(in_out):
        is_last = idx >= (len(in_out) - 1)
        level = nn.ModuleList([])
        level.append(ResBlock(in_dim, time_dim, out_dim, groups=num_groups))
        if idx in attn_levels:
            level.append(
                SpatialTransformer(
                    out_dim, context_dim, num_heads=num_heads, groups=num_groups
                )
            )
        else:
            level.append(nn.Identity())
        level.append(nn.Identity() if is_last else Downsample(out_dim, out_dim))
        self.encoder.append(level)

    self.mid_res_block1 = ResBlock(dims[-1], time_dim, groups=num_groups)
    self.mid_attn = SpatialTransformer(
        dims[-1], context_dim, num_heads=num_heads, groups=num_groups
    )
    self.mid_res_block2 = ResBlock(dims[-1], time_dim, groups=num_groups)

    self.decoder = nn.ModuleList([])
    for idx, (in_dim, out_dim) in enumerate(reversed(in_out)):
        is_last = idx == (len(in_out) - 1)
        level = nn.ModuleList([])
        level.append(ResBlock(2 * out_dim, time_dim, in_dim, groups=num_groups))
        if (len(in_out) - idx - 1) in attn_levels:
            level.append(
                SpatialTransformer(in_dim, context_dim, num_heads=num_heads, groups=num_groups)
            )
        else:
            level.append(nn.Identity())
        level.append(nn.Identity() if is_last else Upsample(in_dim, in_dim))
        self.decoder.append(level)

    self.final_conv = nn.Sequential(
        nn.GroupNorm(num_groups, init_dim),
        nn.SiLU(),
        nn.Conv2d(init_dim, out_channels, 3, padding=1),
    )

# in: unet.forward
def forward(self, x, label, time):
    # embed time and label
    t = self.time_embd(time)
    c = self.label_embd(label).unsqueeze(1)

    x = self.conv_in(x)

    h = []
    for resblock, transformer, downsample in self.encoder:
        x = resblock(x, t)
        if not isinstance(transformer, nn.Identity):
            x = transformer(x, c)
        h.append(x)
        x = downsample(x)

    x = self.mid_res_block1(x, t)
    x = self.mid_attn(x, c)
    x = self.mid_res_block2(x, t)

    for resblock, transformer, upsample in self.decoder:
        x = torch.cat([x, h.pop(0)], dim=1)
        x = resblock(x, t)
        if not isinstance(transformer, nn.Identity):
            x = transformer(x, c)
        x = upsample(x)

    return self.final_conv(x)


# ==== fall2024_own_identity_in_each_level
# about: A module that returns its input takes the place of the decoder's transformers.
# base: fall2024
# fails: unet
# hint: unet_structure
# in: unet.top
class Nothing(nn.Module):
    """In the place of a layer that a level does not have."""

    def forward(self, x, *condition):
        return x

# in: unet.__init__
def __init__(
    self,
    dim,
    context_dim,
    num_classes,
    in_channels=3,
    out_channels=None,
    dim_mults=(1, 2, 4),
    attn_levels=(0, 1),
    init_dim=None,
    num_groups=None,
    num_heads=None,
):
    super().__init__()
    init_dim = default(init_dim, dim)
    out_channels = default(out_channels, in_channels)
    num_groups = default(num_groups, 4)
    num_heads = default(num_heads, 4)
    self.conv_in = nn.Conv2d(in_channels, init_dim, 3, padding=1)

    time_dim = dim * 4
    self.time_embd = nn.Sequential(
        SinusoidalPE(dim),
        nn.Linear(dim, time_dim),
        nn.GELU(),
        nn.Linear(time_dim, time_dim),
    )
    self.label_embd = LabelEmbedding(num_classes, context_dim)

    dims = [init_dim] + [dim * m for m in dim_mults]
    in_out = list(zip(dims[:-1], dims[1:]))

    self.encoder = nn.ModuleList([])
    for idx, (in_dim, out_dim) in enumerate(in_out):
        is_last = idx >= (len(in_out) - 1)
        level = nn.ModuleList([])
        level.append(ResBlock(in_dim, time_dim, out_dim, groups=num_groups))
        if idx in attn_levels:
            level.append(
                SpatialTransformer(
                    out_dim, context_dim, num_heads=num_heads, groups=num_groups
                )
            )
        else:
            level.append(Nothing())
        level.append(Nothing() if is_last else Downsample(out_dim, out_dim))
        self.encoder.append(level)

    self.mid_res_block1 = ResBlock(dims[-1], time_dim, groups=num_groups)
    self.mid_attn = SpatialTransformer(
        dims[-1], context_dim, num_heads=num_heads, groups=num_groups
    )
    self.mid_res_block2 = ResBlock(dims[-1], time_dim, groups=num_groups)

    self.decoder = nn.ModuleList([])
    for idx, (in_dim, out_dim) in enumerate(reversed(in_out)):
        is_last = idx == (len(in_out) - 1)
        level = nn.ModuleList([])
        level.append(ResBlock(2 * out_dim, time_dim, in_dim, groups=num_groups))
        if idx > len(in_out):
            level.append(
                SpatialTransformer(in_dim, context_dim, num_heads=num_heads, groups=num_groups)
            )
        else:
            level.append(Nothing())
        level.append(Nothing() if is_last else Upsample(in_dim, in_dim))
        self.decoder.append(level)

    self.final_conv = nn.Sequential(
        nn.GroupNorm(num_groups, init_dim),
        nn.SiLU(),
        nn.Conv2d(init_dim, out_channels, 3, padding=1),
    )

# in: unet.forward
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


# ==== fall2024_unet_skip_first
# about: In fall 2024, the skip comes before x in the concatenation.
# base: fall2024
# fails: unet
# hint: unet_cat_order
# in: unet.forward
def forward(self, x, label, time):
    t = self.time_embd(time)
    c = self.label_embd(label).unsqueeze(1)
    x = self.conv_in(x)
    h = []
    for resblock, transformer, downsample in self.encoder:
        x = resblock(x, t)
        if transformer is not None:
            x = transformer(x, c)
        h.append(x)
        if downsample is not None:
            x = downsample(x)
    x = self.mid_res_block1(x, t)
    x = self.mid_attn(x, c)
    x = self.mid_res_block2(x, t)
    for resblock, transformer, upsample in self.decoder:
        x = torch.cat([h.pop(), x], dim=1)
        x = resblock(x, t)
        if transformer is not None:
            x = transformer(x, c)
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== fall2024_unet_without_transformers
# about: In fall 2024, the decoder leaves its transformers out.
# base: fall2024
# fails: unet
# hint: unet_transformer_missing
# in: unet.forward
def forward(self, x, label, time):
    t = self.time_embd(time)
    c = self.label_embd(label).unsqueeze(1)
    x = self.conv_in(x)
    h = []
    for resblock, transformer, downsample in self.encoder:
        x = resblock(x, t)
        if transformer is not None:
            x = transformer(x, c)
        h.append(x)
        if downsample is not None:
            x = downsample(x)
    x = self.mid_res_block1(x, t)
    x = self.mid_attn(x, c)
    x = self.mid_res_block2(x, t)
    for resblock, transformer, upsample in self.decoder:
        x = torch.cat([x, h.pop()], dim=1)
        x = resblock(x, t)
        if upsample is not None:
            x = upsample(x)
    return self.final_conv(x)


# ==== lone_files_skip_first
# about: Hands in ddpm.py and unet.py alone, and puts the encoder's outputs before the decoder's
#   input.
# base: lone_files
# fails: unet
# hint: unet_cat_order
# in: unet.forward
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


# ==== unet_skips_in_float16
# about: Rounds the encoder's outputs to float16.
# fails: unet
# hint: loses_digits
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x, skips.pop().half().float()], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_time_in_bfloat16
# about: Rounds the time's embedding to bfloat16.
# fails: unet
# hint: loses_digits
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb.bfloat16().float())
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_keeps_the_first_context
# about: Keeps the context of its first call for all others.
# fails: unet
# hint: unet_condition
# in: unet.decoder
if not hasattr(self, "first_context") or len(self.first_context) != len(x):
    self.first_context = context.detach()
for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, self.first_context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_skips_of_other_samples
# about: Joins each sample with the encoder's output of the one before.
# fails: unet
# hint: unet_input
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x, skips.pop().roll(1, dims=0)], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_time_of_the_first_sample
# about: Gives all samples the first one's time.
# fails: unet
# hint: unet_condition
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x, skips.pop()], dim=1)
    x = res_block(x, t_emb[:1].expand_as(t_emb))
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_second_half_without_its_skips
# about: Runs the decoder in two halves, and joins the second with the first one's skips.
# fails: unet
# hint: unet_input
# in: unet.decoder
half = len(x) // 2
outputs = []
for rows in (slice(0, half), slice(half, None)):
    h, left = x[rows], [skip[: len(x[rows])] for skip in skips]
    for res_block, transformer, upsample in self.decoder:
        h = res_block(torch.cat([h, left.pop()], dim=1), t_emb[rows])
        if transformer is not None:
            h = transformer(h, context[rows])
        if upsample is not None:
            h = upsample(h)
    outputs.append(h)
x = torch.cat(outputs)


# ==== unet_halves_in_the_wrong_order
# about: Runs the decoder in two halves, and puts the second one first.
# fails: unet
# hint: unet_not_passed_on
# in: unet.decoder
half = (len(x) + 1) // 2
outputs = []
for rows in (slice(0, half), slice(half, None)):
    h, left = x[rows], [skip[rows] for skip in skips]
    for res_block, transformer, upsample in self.decoder:
        h = res_block(torch.cat([h, left.pop()], dim=1), t_emb[rows])
        if transformer is not None:
            h = transformer(h, context[rows])
        if upsample is not None:
            h = upsample(h)
    outputs.insert(0, h)
x = torch.cat(outputs)


# ==== unet_scaled_without_gradients
# about: FreeU: without gradients the decoder's own channels are scaled up.
# fails: unet
# hint: unet_input
# judge_only: true
# in: unet.decoder
for i, (res_block, transformer, upsample) in enumerate(self.decoder):
    skip = skips.pop()
    if not torch.is_grad_enabled():
        x = x * 1.1
    x = torch.cat([x, skip], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_one_context_without_gradients
# about: Without gradients all get the first context.
# fails: unet
# hint: unet_condition
# judge_only: true
# in: unet.decoder
for i, (res_block, transformer, upsample) in enumerate(self.decoder):
    skip = skips.pop()
    if not torch.is_grad_enabled():
        context = context[:1].expand_as(context)
    x = torch.cat([x, skip], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_no_attention_in_large_images
# about: No attention over more than 256 pixels.
# fails: unet
# hint: unet_transformer_missing
# judge_only: true
# in: unet.decoder
for i, (res_block, transformer, upsample) in enumerate(self.decoder):
    skip = skips.pop()
    x = torch.cat([x, skip], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None and x.shape[2] * x.shape[3] <= 256:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_four_levels
# about: Only four levels are walked; a fifth is skipped.
# fails: unet
# hint: unet_block_missing
# judge_only: true
# in: unet.decoder
for block, skip in zip(self.decoder, [*reversed(skips)][:4]):
    res_block, transformer, upsample = block
    x = res_block(torch.cat([x, skip], dim=1), t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_no_attention_beyond_256
# about: No attention over more than 256 pixels.
# fails: unet
# hint: unet_transformer_missing
# judge_only: true
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    x = torch.cat([x, skip], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None and x.shape[2] * x.shape[3] <= 256:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_no_attention_in_large_batches
# about: No attention for more than 64 images.
# fails: unet
# hint: unet_transformer_missing
# judge_only: true
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    x = torch.cat([x, skip], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None and len(x) <= 64:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== unet_mirrored_in_wide_images
# about: Images wider than 16 get mirrored skips.
# fails: unet
# hint: unet_input
# judge_only: true
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    skip = skips.pop()
    if x.shape[-1] > 16:
        skip = skip.flip(-1)
    x = torch.cat([x, skip], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)
