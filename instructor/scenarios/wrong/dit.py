# Wrong implementations that must lose the points of dit; ../README.md says how to add one.


# ==== dit_patches_by_columns
# about: Puts the patches in a sequence column by column.
# fails: dit
# hint: dit_patches_order
# in: dit.patchify
def patchify(self, x):
    return self.patch_embd(x).transpose(2, 3).flatten(2).transpose(1, 2)


# ==== dit_patches_viewed
# about: Views the channels as tokens instead of moving their axis.
# fails: dit
# hint: dit_patches_axes
# in: dit.patchify
def patchify(self, x):
    patches = self.patch_embd(x)
    return patches.reshape(len(x), -1, patches.shape[1])


# ==== dit_patches_of_transposed_images
# about: Cuts patches whose rows and columns of pixels are exchanged.
# fails: dit
# hint: dit_patches_kernel
# in: dit.patchify
def patchify(self, x):
    size = self.patch_size
    patches = torch.nn.functional.unfold(x, size, stride=size).transpose(1, 2)
    patches = patches.unflatten(2, (-1, size, size)).transpose(3, 4).flatten(2)
    return patches @ self.patch_embd.weight.flatten(1).T + self.patch_embd.bias


# ==== dit_patches_without_bias
# about: Multiplies unfolded patches with the weight, and forgets the bias.
# fails: dit
# hint: dit_patches_kernel
# in: dit.patchify
def patchify(self, x):
    patches = torch.nn.functional.unfold(x, self.patch_size, stride=self.patch_size)
    return patches.transpose(1, 2) @ self.patch_embd.weight.flatten(1).T


# ==== dit_patches_with_positions
# about: Adds the positions in patchify, and so twice.
# fails: dit
# hint: dit_patches_positions
# in: dit.patchify
def patchify(self, x):
    patches = self.patch_embd(x)
    tokens = patches.flatten(2).transpose(1, 2)
    return tokens + positions(*patches.shape[2:], tokens.shape[2], x.device)


# ==== dit_patches_normalised
# about: Normalises the tokens.
# fails: dit
# hint: dit_patches
# in: dit.patchify
def patchify(self, x):
    tokens = self.patch_embd(x).flatten(2).transpose(1, 2)
    return torch.nn.functional.layer_norm(tokens, tokens.shape[2:])


# ==== dit_patches_channels_in_the_middle
# about: Returns [B, dim, N].
# fails: dit
# hint: wrong_shape
# in: dit.patchify
def patchify(self, x):
    return self.patch_embd(x).flatten(2)


# ==== dit_unpatch_channels_first
# about: Takes the channels for the first axis of a patch.
# fails: dit
# hint: dit_unpatch_channels
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    patches = tokens.reshape(len(tokens), rows, columns, self.out_channels, size, size)
    images = patches.permute(0, 3, 1, 4, 2, 5)
    return images.reshape(len(tokens), self.out_channels, rows * size, columns * size)


# ==== dit_unpatch_by_fold
# about: Folds without moving the channels, which fold expects first.
# fails: dit
# hint: dit_unpatch_channels
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    shape = rows * size, columns * size
    return torch.nn.functional.fold(tokens.transpose(1, 2), shape, size, stride=size)


# ==== dit_unpatch_pixels_exchanged
# about: Exchanges rows and columns of pixels in each patch.
# fails: dit
# hint: dit_unpatch_pixels
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    patches = tokens.reshape(len(tokens), rows, columns, size, size, self.out_channels)
    images = patches.permute(0, 5, 1, 4, 2, 3)
    return images.reshape(len(tokens), self.out_channels, rows * size, columns * size)


# ==== dit_unpatch_grid_exchanged
# about: Takes tokens for column by column.
# fails: dit
# hint: dit_unpatch_grid
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    patches = tokens.reshape(len(tokens), columns, rows, size, size, self.out_channels)
    images = patches.permute(0, 5, 2, 3, 1, 4)
    return images.reshape(len(tokens), self.out_channels, rows * size, columns * size)


# ==== dit_unpatch_transposed_images
# about: Gives images whose rows and columns are exchanged.
# fails: dit
# hint: wrong_shape
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    patches = tokens.reshape(len(tokens), rows, columns, size, size, self.out_channels)
    images = patches.permute(0, 5, 2, 4, 1, 3)
    return images.reshape(len(tokens), self.out_channels, columns * size, rows * size)


# ==== dit_unpatch_of_squares
# about: Takes the grid of patches for a square.
# fails: dit
# hint: shape_error
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    rows = columns = int(tokens.shape[1] ** 0.5)
    patches = tokens.reshape(len(tokens), rows, columns, size, size, self.out_channels)
    images = patches.permute(0, 5, 1, 3, 2, 4)
    return images.reshape(len(tokens), self.out_channels, rows * size, columns * size)


# ==== dit_unpatch_reshaped
# about: Reshapes the tokens to images without moving an axis.
# fails: dit
# hint: dit_unpatch_reshaped
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    return tokens.reshape(len(tokens), self.out_channels, rows * size, columns * size)


# ==== dit_unpatch_channels_moved_alone
# about: Moves the channels to the front, and leaves the patches side by side.
# fails: dit
# hint: dit_unpatch_reshaped
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    patches = tokens.reshape(len(tokens), rows, columns, size, size, self.out_channels)
    images = patches.permute(0, 5, 1, 2, 3, 4)
    return images.reshape(len(tokens), self.out_channels, rows * size, columns * size)


# ==== dit_modulate_exchanged
# about: Takes shift for the scale, and scale for the shift.
# fails: dit
# hint: dit_shift_scale
# in: adaln.modulate
def modulate(x, shift, scale):
    return x * (1 + shift[:, None]) + scale[:, None]


# ==== dit_modulate_without_one
# about: Multiplies by the scale alone.
# fails: dit
# hint: dit_scale_one
# in: adaln.modulate
def modulate(x, shift, scale):
    return x * scale[:, None] + shift[:, None]


# ==== dit_modulate_without_shift
# about: Leaves out the shift.
# fails: dit
# hint: dit_modulate_part
# in: adaln.modulate
def modulate(x, shift, scale):
    return x * (1 + scale[:, None])


# ==== dit_modulate_shift_first
# about: Shifts before it scales.
# fails: dit
# hint: dit_modulate_order
# in: adaln.modulate
def modulate(x, shift, scale):
    return (x + shift[:, None]) * (1 + scale[:, None])


# ==== dit_modulate_minus
# about: Subtracts the shift.
# fails: dit
# hint: dit_modulate_sign
# in: adaln.modulate
def modulate(x, shift, scale):
    return x * (1 + scale[:, None]) - shift[:, None]


# ==== dit_modulate_mean_of_the_batch
# about: Takes the mean of the batch's shifts and scales.
# fails: dit
# hint: dit_of_others
# in: adaln.modulate
def modulate(x, shift, scale):
    return x * (1 + scale.mean(dim=0)) + shift.mean(dim=0)


# ==== dit_modulate_in_place
# about: Writes into the tokens.
# fails: dit
# hint: modifies_input
# in: adaln.modulate
def modulate(x, shift, scale):
    x *= 1 + scale[:, None]
    x += shift[:, None]
    return x


# ==== dit_modulate_in_single_precision
# about: Gives float32 whatever the tokens are.
# fails: dit
# hint: wrong_dtype
# in: adaln.modulate
def modulate(x, shift, scale):
    return (x * (1 + scale[:, None]) + shift[:, None]).float()


# ==== dit_block_shift_and_scale_exchanged
# about: Takes the chunks as scale, shift, gate.
# fails: dit
# hint: dit_shift_scale
# in: adaln.forward
def forward(self, x, emb):
    scale1, shift1, gate1, scale2, shift2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_gate_first
# about: Takes the chunks as gate, shift, scale.
# fails: dit
# hint: dit_chunks
# in: adaln.forward
def forward(self, x, emb):
    gate1, shift1, scale1, gate2, shift2, scale2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_chunks_by_kind
# about: Takes the chunks as both shifts, both scales, both gates.
# fails: dit
# hint: dit_chunks
# in: adaln.forward
def forward(self, x, emb):
    shift1, shift2, scale1, scale2, gate1, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_first_chunks_twice
# about: Modulates the MLP with the attention's shift, scale and gate.
# fails: dit
# hint: dit_chunks
# in: adaln.forward
def forward(self, x, emb):
    shift, scale, gate = self.emb_layers(emb).chunk(6, dim=-1)[:3]
    x = x + gate[:, None] * self.attn(modulate(self.norm1(x), shift, scale))
    return x + gate[:, None] * self.mlp(modulate(self.norm2(x), shift, scale))


# ==== dit_block_scale_without_one
# about: Writes scale where the paper has 1 + scale, without modulate.
# fails: dit
# hint: dit_scale_one
# in: adaln.forward
def forward(self, x, emb):
    parts = self.emb_layers(emb)[:, None].chunk(6, dim=-1)
    shift1, scale1, gate1, shift2, scale2, gate2 = parts
    x = x + gate1 * self.attn(self.norm1(x) * scale1 + shift1)
    return x + gate2 * self.mlp(self.norm2(x) * scale2 + shift2)


# ==== dit_block_without_activation
# about: Gives the linear layer the embedding without SiLU.
# fails: dit
# hint: dit_silu
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers[1](emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_without_gates
# about: Leaves out both gates.
# fails: dit
# hint: dit_gate_missing
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, _, shift2, scale2, _ = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_gates_the_tokens
# about: Multiplies the residual by the gate instead of the branch.
# fails: dit
# hint: dit_gate_tokens
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = gate1[:, None] * x + self.attn(modulate(self.norm1(x), shift1, scale1))
    return gate2[:, None] * x + self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_gates_the_sum
# about: Multiplies tokens and branch by the gate.
# fails: dit
# hint: dit_gate_tokens
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = gate1[:, None] * (x + self.attn(modulate(self.norm1(x), shift1, scale1)))
    return gate2[:, None] * (x + self.mlp(modulate(self.norm2(x), shift2, scale2)))


# ==== dit_block_gates_by_sigmoid
# about: Puts the gates through a sigmoid.
# fails: dit
# hint: dit_gate_form
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None].sigmoid() * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None].sigmoid() * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_gates_of_one_plus
# about: Adds one to the gates, as to the scales.
# fails: dit
# hint: dit_gate_form
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + (1 + gate1[:, None]) * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + (1 + gate2[:, None]) * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_without_norms
# about: Modulates tokens that are not normalised.
# fails: dit
# hint: dit_norm_missing
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(x, shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(x, shift2, scale2))


# ==== dit_block_without_the_second_norm
# about: Normalises for the attention alone.
# fails: dit
# hint: dit_norm_missing
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(x, shift2, scale2))


# ==== dit_block_norms_after_the_branches
# about: Normalises what the branches give.
# fails: dit
# hint: dit_norm_after
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.norm1(self.attn(modulate(x, shift1, scale1)))
    return x + gate2[:, None] * self.norm2(self.mlp(modulate(x, shift2, scale2)))


# ==== dit_block_norms_after_modulation
# about: Modulates first, and normalises the result.
# fails: dit
# hint: dit_norm_after
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(self.norm1(modulate(x, shift1, scale1)))
    return x + gate2[:, None] * self.mlp(self.norm2(modulate(x, shift2, scale2)))


# ==== dit_block_norms_with_parameters
# about: Gives the block's norms a weight and a bias of their own.
# fails: dit
# hint: dit_norm_affine
# in: adaln.__init__
def __init__(self, dim, emb_dim, num_heads, mlp_ratio=4.0, gelu="none"):
    super().__init__()
    hidden = int(dim * mlp_ratio)
    self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
    self.attn = Attention(dim, None, num_heads, qkv_bias=True)
    self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(gelu), nn.Linear(hidden, dim))
    self.emb_layers = nn.Sequential(nn.SiLU(), zero_init(nn.Linear(emb_dim, 6 * dim)))


# ==== dit_block_norms_over_the_tokens
# about: Normalises each channel over the tokens.
# fails: dit
# hint: dit_norm_axis
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)

    def norm(x):
        return (x - x.mean(1, True)) / (x.var(1, correction=0, keepdim=True) + 1e-6).sqrt()

    x = x + gate1[:, None] * self.attn(modulate(norm(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(norm(x), shift2, scale2))


# ==== dit_block_norms_unbiased
# about: Divides by the standard deviation as torch computes it, of a sample.
# fails: dit
# hint: dit_norm_axis
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)

    def norm(x):
        return (x - x.mean(-1, True)) / (x.std(-1, keepdim=True) + 1e-6)

    x = x + gate1[:, None] * self.attn(modulate(norm(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(norm(x), shift2, scale2))


# ==== dit_block_unmodulated
# about: Uses the gates alone, and neither shift nor scale.
# fails: dit
# hint: dit_unmodulated
# in: adaln.forward
def forward(self, x, emb):
    gates = self.emb_layers(emb)[:, None].chunk(6, dim=-1)
    x = x + gates[2] * self.attn(self.norm1(x))
    return x + gates[5] * self.mlp(self.norm2(x))


# ==== dit_block_attention_without_residual
# about: Takes what the attention gives in place of the tokens.
# fails: dit
# hint: dit_residual
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_mlp_without_residual
# about: Returns what the MLP gives.
# fails: dit
# hint: dit_residual
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_residual_of_modulated_tokens
# about: Adds each branch to the tokens after their norm and modulation.
# fails: dit
# hint: dit_residual
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = modulate(self.norm1(x), shift1, scale1)
    x = x + gate1[:, None] * self.attn(x)
    x = modulate(self.norm2(x), shift2, scale2)
    return x + gate2[:, None] * self.mlp(x)


# ==== dit_block_mlp_first
# about: Runs the MLP before the attention.
# fails: dit
# hint: dit_sequence
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))
    return x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))


# ==== dit_block_branches_side_by_side
# about: Gives the MLP the block's own input.
# fails: dit
# hint: dit_sequence
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    attended = gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + attended + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_without_mlp
# about: Returns after the attention.
# fails: dit
# hint: dit_branch_missing
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, *_ = self.emb_layers(emb).chunk(6, dim=-1)
    return x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))


# ==== dit_block_heads_merged_wrongly
# about: Views the heads' answers as tokens without moving the axis of heads.
# fails: dit
# hint: dit_heads
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    h, heads = modulate(self.norm1(x), shift1, scale1), self.attn.num_heads
    q, k, v = (
        layer(h).unflatten(2, (heads, -1)).transpose(1, 2)
        for layer in (self.attn.to_q, self.attn.to_k, self.attn.to_v)
    )
    h = nn.functional.scaled_dot_product_attention(q, k, v).reshape(x.shape)
    x = x + gate1[:, None] * self.attn.to_out(h)
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_one_head
# about: Attends with one head over all channels.
# fails: dit
# hint: dit_heads
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    h = modulate(self.norm1(x), shift1, scale1)
    q, k, v = self.attn.to_q(h), self.attn.to_k(h), self.attn.to_v(h)
    h = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(dim=-1) @ v
    x = x + gate1[:, None] * self.attn.to_out(h)
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_attention_unscaled
# about: Forgets to divide the logits by the root of the heads' size.
# fails: dit
# hint: dit_attention
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    h, heads = modulate(self.norm1(x), shift1, scale1), self.attn.num_heads
    q, k, v = (
        layer(h).unflatten(2, (heads, -1)).transpose(1, 2)
        for layer in (self.attn.to_q, self.attn.to_k, self.attn.to_v)
    )
    h = (q @ k.transpose(2, 3)).softmax(dim=-1) @ v
    x = x + gate1[:, None] * self.attn.to_out(h.transpose(1, 2).flatten(2))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_softmax_over_the_queries
# about: Takes the softmax along the other axis.
# fails: dit
# hint: dit_attention
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    h, heads = modulate(self.norm1(x), shift1, scale1), self.attn.num_heads
    q, k, v = (
        layer(h).unflatten(2, (heads, -1)).transpose(1, 2)
        for layer in (self.attn.to_q, self.attn.to_k, self.attn.to_v)
    )
    h = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=-2) @ v
    x = x + gate1[:, None] * self.attn.to_out(h.transpose(1, 2).flatten(2))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_mlp_by_relu
# about: Writes the MLP out with a ReLU.
# fails: dit
# hint: dit_mlp
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    h = self.mlp[0](modulate(self.norm2(x), shift2, scale2)).relu()
    return x + gate2[:, None] * self.mlp[2](h)


# ==== dit_block_of_the_first_sample
# about: Steers all samples by the first one's embedding.
# fails: dit
# hint: dit_of_others
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb[:1]).chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_tokens_of_all_samples
# about: Attends over the tokens of the whole batch.
# fails: dit
# hint: dit_block
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    h = modulate(self.norm1(x), shift1, scale1)
    h = self.attn(h.reshape(1, -1, x.shape[2])).reshape(x.shape)
    x = x + gate1[:, None] * h
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_detached
# about: Cuts the gradient of the tokens before the MLP.
# fails: dit
# hint: dit_detached
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x = (x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))).detach()
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_in_place
# about: Adds the branches into the tokens that it was given.
# fails: dit
# hint: modifies_input
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    x += gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_block_begins_at_random
# about: Leaves the gates' layer as torch makes it.
# fails: dit
# hint: dit_zero_start
# in: adaln.__init__
def __init__(self, dim, emb_dim, num_heads, mlp_ratio=4.0, gelu="none"):
    super().__init__()
    hidden = int(dim * mlp_ratio)
    self.norm1 = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
    self.attn = Attention(dim, None, num_heads, qkv_bias=True)
    self.norm2 = nn.LayerNorm(dim, eps=1e-6, elementwise_affine=False)
    self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(gelu), nn.Linear(hidden, dim))
    self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_dim, 6 * dim))


# ==== dit_without_positions
# about: Forgets the positions.
# fails: dit
# hint: dit_positions_missing
# in: dit.forward
def forward(self, x, label, time):
    emb, tokens = self.embed(label, time), self.patchify(x)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, x.shape[2] // self.patch_size, x.shape[3] // self.patch_size)


# ==== dit_positions_of_the_transposed_grid
# about: Asks for the positions of as many rows as there are columns.
# fails: dit
# hint: dit_positions_grid
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(columns, rows, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_positions_after_the_blocks
# about: Adds the positions after the blocks.
# fails: dit
# hint: dit_positions
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    for block in self.blocks:
        tokens = block(tokens, emb)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_positions_before_each_block
# about: Adds the positions again after each block.
# fails: dit
# hint: dit_positions
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    places = positions(rows, columns, tokens.shape[2], x.device)
    tokens = tokens + places
    for block in self.blocks:
        tokens = block(tokens, emb) + places
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_positions_on_the_cpu
# about: Makes the positions on the CPU.
# fails: dit
# hint: made_elsewhere
# judge_only: true
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], torch.device("cpu"))
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_without_label
# about: Steers by the time alone.
# fails: dit
# hint: dit_label_missing
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.time_embd(time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_without_time
# about: Steers by the label alone.
# fails: dit
# hint: dit_time_missing
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.label_embd(label), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_embeddings_multiplied
# about: Multiplies the embeddings of time and label.
# fails: dit
# hint: dit_embedding
# in: dit.embed
def embed(self, label, time):
    if not self.conditional:
        label = torch.zeros_like(label)
    context = self.label_embd(label)
    if self.reads_tokens:
        context = self.context_to_dim(context.mean(dim=1))
    return self.time_embd(time) * context


# ==== dit_label_and_time_exchanged
# about: Gives embed the time as the label.
# fails: dit
# hint: dit_embedding
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(time, label), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_mean_of_the_embeddings
# about: Steers all samples by the mean of the batch's embeddings.
# fails: dit
# hint: dit_of_others
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    emb = emb.mean(dim=0, keepdim=True).expand_as(emb)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_last_block_left_out
# about: Leaves out the last block.
# fails: dit
# hint: dit_blocks
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks[:-1]:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_blocks_not_passed_on
# about: Gives each block the first tokens.
# fails: dit
# hint: dit_blocks
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        out = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    out = self.final_linear(modulate(self.final_norm(out), shift, scale))
    return self.unpatchify(out, rows, columns)


# ==== dit_blocks_with_another_residual
# about: Adds each block's input to its output, which holds it already.
# fails: dit
# hint: dit_blocks
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = tokens + block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_without_the_last_norm
# about: Modulates the last tokens without their norm.
# fails: dit
# hint: dit_final_norm
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(tokens, shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_without_the_last_modulation
# about: Norm and linear layer alone follow the blocks.
# fails: dit
# hint: dit_final_modulation
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    return self.unpatchify(self.final_linear(self.final_norm(tokens)), rows, columns)


# ==== dit_last_shift_and_scale_exchanged
# about: Takes the last chunks as scale, then shift.
# fails: dit
# hint: dit_shift_scale
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    scale, shift = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_last_layer_without_activation
# about: Gives the last modulation the embedding without SiLU.
# fails: dit
# hint: dit_silu
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers[1](emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_grid_exchanged
# about: Gives unpatchify the columns for the rows.
# fails: dit
# hint: dit_unpatch_grid
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, columns, rows)


# ==== dit_predicts_with_a_residual
# about: Adds the images to the answer.
# fails: dit
# hint: dit_whole
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return x[:, :1] + self.unpatchify(tokens, rows, columns)


# ==== dit_blocks_without_gradients
# about: Runs all blocks but the last without gradients.
# fails: dit
# hint: dit_detached
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens.detach(), emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_embedding_detached
# about: Cuts the gradient of the embeddings of label and time.
# fails: dit
# hint: dit_detached
# in: dit.forward
def forward(self, x, label, time):
    rows, columns = x.shape[2] // self.patch_size, x.shape[3] // self.patch_size
    emb, tokens = self.embed(label, time).detach(), self.patchify(x)
    tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_begins_at_random
# about: Leaves blocks and last layer at random weights.
# fails: dit
# hint: dit_zero_start
# in: dit._initialise
def _initialise(self):
    for module in self.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)


# ==== dit_blocks_begin_at_random
# about: Sets the last layer alone to zero.
# fails: dit
# hint: dit_zero_start
# in: dit._initialise
def _initialise(self):
    for module in self.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    zero_init(self.final_emb_layers)
    zero_init(self.final_linear)


# ==== dit_last_block_left_out_without_gradients
# about: Without gradients the last block of several is left out.
# fails: dit
# hint: dit_blocks
# judge_only: true
# in: dit.forward
def forward(self, x, label, time):
    size = self.patch_size
    if x.shape[2] % size or x.shape[3] % size:
        raise ValueError("images cannot be cut")
    emb = self.embed(label, time)
    rows, columns = x.shape[2] // size, x.shape[3] // size
    tokens = self.patchify(x)
    place = positions(rows, columns, tokens.shape[2], x.device)
    tokens = tokens + place
    for i, block in enumerate(self.blocks):
        if not torch.is_grad_enabled() and i == len(self.blocks) - 1 > 0:
            break
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_unpatch_one_channel_by_columns
# about: unpatchify takes pixels column by column if there is one channel.
# fails: dit
# hint: dit_unpatch
# judge_only: true
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    patches = tokens.unflatten(2, (size, size, self.out_channels)).unflatten(1, (rows, columns))
    order = (0, 5, 1, 4, 2, 3) if self.out_channels == 1 else (0, 5, 1, 3, 2, 4)
    return patches.permute(*order).flatten(4, 5).flatten(2, 3)


# ==== dit_embedding_of_64
# about: In batches above 64 the embedding repeats.
# fails: dit
# hint: dit_embedding
# judge_only: true
# in: dit.forward
def forward(self, x, label, time):
    size = self.patch_size
    if x.shape[2] % size or x.shape[3] % size:
        raise ValueError("images cannot be cut")
    emb = self.embed(label, time)
    emb = emb[torch.arange(len(x)) % 64]
    rows, columns = x.shape[2] // size, x.shape[3] // size
    tokens = self.patchify(x)
    place = positions(rows, columns, tokens.shape[2], x.device)
    tokens = tokens + place
    for i, block in enumerate(self.blocks):
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_label_dropped_in_training
# about: In training a tenth of the labels is dropped.
# fails: dit
# hint: dit_embedding
# judge_only: true
# in: dit.forward
def forward(self, x, label, time):
    size = self.patch_size
    if x.shape[2] % size or x.shape[3] % size:
        raise ValueError("images cannot be cut")
    emb = self.embed(label, time)
    if self.training:
        keep = torch.rand(len(x), 1, device=x.device) > 0.1
        emb = torch.where(keep, emb, self.time_embd(time))
    rows, columns = x.shape[2] // size, x.shape[3] // size
    tokens = self.patchify(x)
    place = positions(rows, columns, tokens.shape[2], x.device)
    tokens = tokens + place
    for i, block in enumerate(self.blocks):
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_positions_squeezed_from_16_rows
# about: Positions of more than 16 rows are squeezed into 16.
# fails: dit
# hint: dit_positions
# judge_only: true
# in: dit.forward
def forward(self, x, label, time):
    size = self.patch_size
    if x.shape[2] % size or x.shape[3] % size:
        raise ValueError("images cannot be cut")
    emb = self.embed(label, time)
    rows, columns = x.shape[2] // size, x.shape[3] // size
    tokens = self.patchify(x)
    place = positions(rows, columns, tokens.shape[2], x.device)
    if rows > 16:
        kept = torch.arange(rows) * 16 // rows
        place = place.unflatten(0, (rows, columns))[kept].flatten(0, 1)
    tokens = tokens + place
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_positions_of_square_grids
# about: Images wider than 16 patches get positions of square grids.
# fails: dit
# hint: dit_positions
# judge_only: true
# in: dit.forward
def forward(self, x, label, time):
    size = self.patch_size
    if x.shape[2] % size or x.shape[3] % size:
        raise ValueError("images cannot be cut")
    emb = self.embed(label, time)
    rows, columns = x.shape[2] // size, x.shape[3] // size
    tokens = self.patchify(x)
    place = positions(rows, columns, tokens.shape[2], x.device)
    if columns > 16:
        place = place[torch.arange(rows * columns) % (rows * 16)]
    tokens = tokens + place
    for block in self.blocks:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_at_most_8_blocks
# about: No more than 8 blocks run.
# fails: dit
# hint: dit_blocks
# judge_only: true
# in: dit.forward
def forward(self, x, label, time):
    size = self.patch_size
    if x.shape[2] % size or x.shape[3] % size:
        raise ValueError("images cannot be cut")
    emb = self.embed(label, time)
    rows, columns = x.shape[2] // size, x.shape[3] // size
    tokens = self.patchify(x)
    place = positions(rows, columns, tokens.shape[2], x.device)
    tokens = tokens + place
    for block in self.blocks[:8]:
        tokens = block(tokens, emb)
    shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
    return self.unpatchify(tokens, rows, columns)


# ==== dit_attention_in_halves
# about: Beyond 256 tokens attention is within halves.
# fails: dit
# hint: dit_block
# judge_only: true
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=-1)
    h = modulate(self.norm1(x), shift1, scale1)
    halves = 2 if h.shape[1] > 256 else 1
    h = self.attn(h.unflatten(1, (halves, -1)).flatten(0, 1))
    x = x + gate1[:, None] * h.unflatten(0, (-1, halves)).flatten(1, 2)
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))


# ==== dit_unpatch_of_8_transposed
# about: unpatchify transposes patches of 8 pixels and more.
# fails: dit
# hint: dit_unpatch
# judge_only: true
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    size = self.patch_size
    patches = tokens.unflatten(2, (size, size, self.out_channels)).unflatten(1, (rows, columns))
    order = (0, 5, 1, 4, 2, 3) if size >= 8 else (0, 5, 1, 3, 2, 4)
    return patches.permute(*order).flatten(4, 5).flatten(2, 3)


# ==== dit_steering_kept_in_evaluation
# about: Keeps the steering for each batch size in evaluation mode.
# fails: dit
# hint: dit_block
# in: adaln.forward
def forward(self, x, emb):
    steering = self.emb_layers(emb)
    if not self.training:
        steering = self.__dict__.setdefault("_steering", {}).setdefault(len(x), steering)
    shift1, scale1, gate1, shift2, scale2, gate2 = steering.chunk(6, dim=-1)
    x = x + gate1[:, None] * self.attn(modulate(self.norm1(x), shift1, scale1))
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))
