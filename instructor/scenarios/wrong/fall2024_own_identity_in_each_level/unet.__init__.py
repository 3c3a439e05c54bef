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
