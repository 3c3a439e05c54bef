# Right implementations of dit in unusual forms; ../README.md says how to add one.


# ==== right_dit_patches_by_unfold
# about: Unfolds the images, and multiplies the patches with the convolution's weight as a matrix.
# in: dit.patchify
def patchify(self, x):
    patches = torch.nn.functional.unfold(x, self.patch_size, stride=self.patch_size)
    weight, bias = self.patch_embd.weight.flatten(1), self.patch_embd.bias
    return torch.nn.functional.linear(patches.mT, weight, bias)


# ==== right_dit_patches_by_einsum
# about: Cuts the patches by a reshape, and multiplies them with the convolution's weight by einsum.
# in: dit.patchify
def patchify(self, x):
    p = self.patch_size
    cut = x.reshape(len(x), x.shape[1], x.shape[2] // p, p, x.shape[3] // p, p)
    tokens = torch.einsum("bcrpsq,dcpq->brsd", cut, self.patch_embd.weight)
    return tokens.flatten(1, 2) + self.patch_embd.bias


# ==== right_dit_unpatch_by_fold
# about: Moves the channels to the front of each patch, and folds.
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    p = self.patch_size
    patches = tokens.unflatten(2, (p * p, -1)).transpose(2, 3).flatten(2)
    return torch.nn.functional.fold(patches.mT, (rows * p, columns * p), p, stride=p)


# ==== right_dit_unpatch_by_pixel_shuffle
# about: Makes a small picture of the tokens, with channels before pixels, and shuffles its pixels.
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    p = self.patch_size
    patches = tokens.unflatten(2, (p * p, -1)).transpose(2, 3).flatten(2)
    picture = patches.mT.unflatten(2, (rows, columns))
    return torch.nn.functional.pixel_shuffle(picture, p)


# ==== right_dit_unpatch_by_einsum
# about: Exchanges the axes by einsum, as the paper's code does.
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    p, c = self.patch_size, self.out_channels
    x = tokens.reshape(tokens.shape[0], rows, columns, p, p, c)
    x = torch.einsum("nhwpqc->nchpwq", x)
    return x.reshape(x.shape[0], c, rows * p, columns * p)


# ==== right_dit_unpatch_by_loops
# about: Writes each patch to its place in an empty image.
# in: dit.unpatchify
def unpatchify(self, tokens, rows, columns):
    p = self.patch_size
    images = tokens.new_zeros(len(tokens), self.out_channels, rows * p, columns * p)
    for n in range(rows * columns):
        row, column = divmod(n, columns)
        patch = tokens[:, n].reshape(len(tokens), p, p, -1).permute(0, 3, 1, 2)
        images[:, :, row * p : (row + 1) * p, column * p : (column + 1) * p] = patch
    return images


# ==== right_dit_modulate_by_addcmul
# about: Fuses product and sum.
# in: adaln.modulate
def modulate(x, shift, scale):
    return torch.addcmul(shift.unsqueeze(1), x, 1 + scale.unsqueeze(1))

# in: adaln.top
import torch


# ==== right_dit_block_written_out
# about: Explicit softmax over split heads, the norm by hand, no modulate.
# in: adaln.forward
def forward(self, x, emb):
    steering = self.emb_layers(emb).unflatten(1, (6, 1, -1)).unbind(1)

    def steered(x, shift, scale):
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        return centred / (variance + 1e-6).sqrt() * (1 + scale) + shift

    attn, h = self.attn, steered(x, *steering[:2])
    heads, size = attn.num_heads, x.shape[2] // attn.num_heads
    q, k, v = (f(h).reshape(*x.shape[:2], heads, size) for f in (attn.to_q, attn.to_k, attn.to_v))
    logits = torch.einsum("bnhd,bmhd->bhnm", q, k) * size**-0.5
    out = torch.einsum("bhnm,bmhd->bnhd", logits.softmax(dim=-1), v).reshape(x.shape)
    x = x + steering[2] * attn.to_out(out)
    return x + steering[5] * self.mlp(steered(x, *steering[3:5]))

# in: adaln.top
import torch


# ==== right_dit_block_by_torch_attention
# about: torch's multi-head attention with the block's weights.
# in: adaln.forward
def forward(self, x, emb):
    shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(emb).chunk(6, dim=1)
    h = modulate(self.norm1(x), shift1, scale1).transpose(0, 1)
    layers = self.attn.to_q, self.attn.to_k, self.attn.to_v
    out, _ = nn.functional.multi_head_attention_forward(
        h, h, h, x.shape[2], self.attn.num_heads, None,
        torch.cat([layer.bias for layer in layers]), None, None, False, 0.0,
        self.attn.to_out[0].weight, self.attn.to_out[0].bias,
        use_separate_proj_weight=True,
        q_proj_weight=layers[0].weight, k_proj_weight=layers[1].weight,
        v_proj_weight=layers[2].weight,
    )
    x = x + gate1[:, None] * out.transpose(0, 1)
    return x + gate2[:, None] * self.mlp(modulate(self.norm2(x), shift2, scale2))

# in: adaln.top
import torch


# ==== right_dit_block_sample_by_sample
# about: One sample after the other.
# in: adaln.forward
def forward(self, x, emb):
    results = []
    for tokens, e in zip(x.split(1), emb.split(1)):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.emb_layers(e).chunk(6, dim=-1)
        tokens = tokens + gate1[:, None] * self.attn(modulate(self.norm1(tokens), shift1, scale1))
        h = modulate(self.norm2(tokens), shift2, scale2)
        results.append(tokens + gate2[:, None] * self.mlp(h))
    return torch.cat(results)

# in: adaln.top
import torch


# ==== right_dit_forward_in_pieces
# about: Walks through the network with two images at a time.
# in: dit.forward
def forward(self, x, label, time):
    p = self.patch_size
    rows, columns = x.shape[2] // p, x.shape[3] // p
    results = []
    for part, y, t in zip(x.split(2), label.split(2), time.split(2)):
        emb = self.embed(y, t)
        tokens = self.patchify(part)
        tokens = tokens + positions(rows, columns, tokens.shape[2], x.device)
        for block in self.blocks:
            tokens = block(tokens, emb)
        shift, scale = self.final_emb_layers(emb).chunk(2, dim=-1)
        tokens = self.final_linear(modulate(self.final_norm(tokens), shift, scale))
        results.append(self.unpatchify(tokens, rows, columns))
    return torch.cat(results)


# ==== right_dit_forward_written_out
# about: One method for all: neither patchify nor unpatchify, modulate nor embed.
# in: dit.forward
def forward(self, x, label, time):
    p = self.patch_size
    emb = self.time_embd(time) + self.label_embd(label)
    patches = self.patch_embd(x)
    rows, columns = patches.shape[2:]
    place = positions(rows, columns, patches.shape[1], x.device)
    tokens = (patches + place.T.unflatten(1, (rows, columns))).flatten(2).mT
    for i in range(len(self.blocks)):
        tokens = self.blocks[i](tokens, emb=emb)
    shift, scale = self.final_emb_layers(emb).unsqueeze(1).tensor_split(2, dim=2)
    tokens = self.final_linear(torch.addcmul(shift, self.final_norm(tokens), 1 + scale))
    out = tokens.reshape(len(x), rows, columns, p, p, -1).permute(0, 5, 1, 3, 2, 4)
    return out.reshape(len(x), -1, *x.shape[2:])


# ==== right_dit_forward_with_names
# about: Gives every argument by its name, and modulates with axes of its own.
# in: dit.forward
def forward(self, x, label, time):
    p = self.patch_size
    rows, columns = x.shape[2] // p, x.shape[3] // p
    tokens = self.patchify(x=x)
    places = positions(rows=rows, columns=columns, dim=tokens.shape[2], device=x.device)
    tokens, emb = tokens + places.unsqueeze(0), self.embed(label=label, time=time)
    for block in self.blocks:
        tokens = block(x=tokens, emb=emb)
    shift, scale = torch.split(self.final_emb_layers(emb), tokens.shape[2], dim=1)
    tokens = modulate(x=self.final_norm(tokens), shift=shift, scale=scale)
    return self.unpatchify(tokens=self.final_linear(tokens), rows=rows, columns=columns)


# ==== right_dit_with_an_unused_layer
# about: The network has a layer that nothing uses.
# in: dit._initialise
def _initialise(self):
    self.spare = nn.Linear(2, 2)
    for module in self.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    nn.init.normal_(self.label_embd.weight)
    for layer in [self.final_linear, self.final_emb_layers, *self.blocks]:
        zero_init(getattr(layer, "emb_layers", layer))


# ==== right_dit_asks_the_norm
# about: Reads sizes from the layers, and calls forward of each block.
# in: dit.forward
def forward(self, x, label, time):
    p = self.patch_embd.stride[0]
    if x.size(2) % p or x.size(3) % p:
        raise ValueError("size")
    rows, columns = x.size(2) // p, x.size(3) // p
    dim = self.final_norm.normalized_shape[0]
    emb = self.embed(label, time)
    tokens = self.patchify(x).add_(positions(rows, columns, dim, x.device))
    for block in self.blocks.children():
        tokens = block.forward(tokens, emb)
    shift, scale = self.final_emb_layers(emb).split(dim, dim=1)
    tokens = self.final_linear(modulate(self.final_norm(tokens), scale=scale, shift=shift))
    return self.unpatchify(tokens, rows, columns)
