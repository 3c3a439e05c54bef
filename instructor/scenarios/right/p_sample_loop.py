# Right implementations of p_sample_loop, written differently; ../README.md says how to add one.


# ==== right_loop_decodes_one_by_one
# about: Decodes one latent at a time to save memory.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    img = torch.randn((labels.shape[0], *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        img = self.p_sample(img, labels, torch.full_like(labels, i), i)
    if self.use_vae:
        img = torch.cat([self.vae.decoder(latent[None]) for latent in img])
    return self.postprocess(img)


# ==== right_loop_eval_and_back
# about: Samples in eval mode and returns to the mode it found.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    was_training = self.training
    self.eval()
    img = torch.randn((labels.shape[0], *self.img_shape), device=labels.device)
    for i in reversed(range(self.timesteps)):
        img = self.p_sample(img, labels, torch.full_like(labels, i), i)
    if self.use_vae:
        img = self.vae.decoder(img)
    self.train(was_training)
    return self.postprocess(img)


# ==== right_loop_in_chunks
# about: Takes four labels at a time through the whole chain.
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    pictures = [self.draw_some(part) for part in labels.split(4)]
    return torch.cat(pictures)


@torch.no_grad()
def draw_some(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== right_loop_keeps_all_steps
# about: Keeps all steps in a list and returns the last.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    chain = [torch.randn([len(labels)] + list(self.img_shape), device=labels.device)]
    for i in sorted(range(self.timesteps), reverse=True):
        chain.append(self.p_sample(chain[-1], labels.long(), torch.full_like(labels, i), i))
    final = chain[-1]
    if self.vae is not None:
        final = self.vae.decoder(final)
    return self.postprocess(final)


# ==== right_loop_keywords_reversed
# about: Names all arguments of the step, in another order.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.empty((len(labels), *self.img_shape), device=labels.device).normal_()
    t_index = self.timesteps
    while t_index:
        t_index -= 1
        t = labels.new_full(labels.shape, t_index)
        x = self.p_sample(t_index=t_index, t=t, label=labels, x=x)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== right_loop_one_t_counted_down
# about: Keeps one tensor t and counts it down in place.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    img = torch.randn((labels.shape[0], *self.img_shape), device=labels.device)
    t = torch.full_like(labels, self.timesteps)
    for t_index in reversed(range(self.timesteps)):
        t -= 1
        img = self.p_sample(img, labels, t, t_index)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== right_loop_over_a_tensor
# about: Walks over the rows of a tensor of all time steps.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    b = len(labels)
    steps = torch.arange(self.timesteps, device=labels.device).flip(0)
    img = torch.randn((b, *self.img_shape), device=labels.device)
    for t in steps[:, None].repeat(1, b):
        img = self.p_sample(img, labels, t, t[0].item())
    images = self.vae.decoder(img) if self.use_vae else img
    return self.postprocess(images)


# ==== right_loop_own_rescaling
# about: Maps to [0, 1] itself instead of calling postprocess.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    img = torch.randn((labels.shape[0], *self.img_shape), device=labels.device)
    for i in reversed(range(0, self.timesteps)):
        img = self.p_sample(img, labels, torch.full_like(labels, i), i)
    if self.use_vae:
        return torch.clamp(self.vae.decoder(img), min=0.0, max=1.0)
    return torch.clamp(img * 0.5 + 0.5, min=0.0, max=1.0)


# ==== right_loop_range_downwards
# about: Counts with range(T - 1, -1, -1) and calls p_sample by keywords.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x_t = torch.empty(len(labels), *self.img_shape, device=labels.device).normal_()
    for i in range(self.timesteps - 1, -1, -1):
        t = torch.tensor([i] * len(labels), device=labels.device)
        x_t = self.p_sample(x=x_t, label=labels, t=t, t_index=i)
    if self.use_vae:
        x_t = self.vae.decoder(x_t)
    return self.postprocess(x_t)


# ==== right_loop_step_written_out
# about: Writes the step out in the loop instead of calling p_sample.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in reversed(range(self.timesteps)):
        t = torch.full_like(labels, i)
        eps = self.model(x, labels, t)
        x = x - self.betas[i] / self.sqrt_one_minus_alphas_cumprod[i] * eps
        x = x * self.sqrt_recip_alphas[i]
        if i > 0:
            x = x + self.posterior_variance[i].sqrt() * torch.randn_like(x)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== right_loop_steps_in_pieces
# about: Takes each step for two images at a time.
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        parts = zip(x.split(2), labels.split(2), t.split(2), strict=True)
        x = torch.cat([self.p_sample(*part, t_index) for part in parts])
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== right_loop_while
# about: Counts down with while.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(labels.shape[0], *self.img_shape).to(labels.device)
    step = self.timesteps - 1
    while step >= 0:
        t = torch.ones(labels.shape[0], dtype=torch.long, device=labels.device) * step
        x = self.p_sample(x, labels, t, step)
        step -= 1
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== right_loop_with_progress_bar
# about: Shows a progress bar where tqdm is installed.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    try:
        from tqdm import tqdm
    except ImportError:
        def tqdm(steps, **options):
            return steps
    device = next(self.model.parameters()).device
    img = torch.randn((labels.size(0), *self.img_shape), device=device)
    labels = labels.to(device)
    for i in tqdm(list(range(self.timesteps))[::-1], desc="sampling", total=self.timesteps):
        img = self.p_sample(img, labels, torch.full((labels.size(0),), i, device=device), i)
    if self.use_vae:
        img = self.vae.decoder(img)
    return self.postprocess(img)


# ==== right_loop_large_batches_in_chunks
# about: Takes up to 16 labels at once through the chain, and the last chunk whatever its size.
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    pictures = []
    for first in range(0, len(labels), 16):
        some = labels[first : first + 16]
        x = torch.randn((len(some), *self.img_shape), device=labels.device)
        for i in range(self.timesteps - 1, -1, -1):
            x = self.p_sample(x, some, torch.full_like(some, i), i)
        pictures.append(self.postprocess(self.vae.decoder(x) if self.use_vae else x))
    return torch.cat(pictures)


# ==== right_loop_starts_moved_from_the_cpu
# about: Draws the start of each sample on the CPU, one after the other, and moves all at once.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    starts = [torch.randn(self.img_shape) for _ in labels]
    x = torch.stack(starts).to(labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.tensor([t_index] * len(labels)).to(labels.device)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== right_loop_by_sample
# about: Draws one picture after the other.
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    pictures = []
    for label in labels.split(1):
        x = torch.randn(1, *self.img_shape, device=labels.device)
        for t_index in reversed(range(self.timesteps)):
            x = self.p_sample(x, label, torch.full_like(label, t_index), t_index)
        if self.use_vae:
            x = self.vae.decoder(x)
        pictures.append(self.postprocess(x))
    return torch.cat(pictures)


# ==== right_loop_steps_in_pieces_of_five
# about: Takes each step for five samples at a time.
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        pieces = zip(x.split(5), labels.split(5), t.split(5))
        x = torch.cat([self.p_sample(*piece, t_index) for piece in pieces])
    if self.use_vae:
        x = torch.cat([self.vae.decoder(z) for z in x.split(5)])
    return self.postprocess(x)


# ==== right_loop_by_a_generator
# about: Takes the last state that a generator of all of them yields.
# in: ddpm.top
from collections import deque

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    def states():
        x = torch.randn(len(labels), *self.img_shape, device=labels.device)
        for t_index in range(self.timesteps - 1, -1, -1):
            x = self.p_sample(x, labels, labels.new_full(labels.shape, t_index), t_index)
            yield x

    (x,) = deque(states(), maxlen=1)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== right_loop_by_reduce
# about: Folds the steps by functools.reduce.
# in: ddpm.top
from functools import reduce

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    def step(x, t_index):
        return self.p_sample(x, labels, torch.ones_like(labels) * t_index, t_index)

    start = torch.randn(labels.shape[0], *self.img_shape, device=labels.device)
    x = reduce(step, range(self.timesteps - 1, -1, -1), start)
    return self.postprocess(self.vae.decoder.forward(x) if self.use_vae else x)


# ==== right_loop_asks_the_network
# about: Takes the channels from the first convolution of the network.
# judge_only: true
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    channels = self.model.conv_in.in_channels
    _, h, w = self.img_shape
    x = torch.randn(len(labels), channels, h, w, device=labels.device)
    for i in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, i), i)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== right_loop_cuda_of_parameters
# about: Takes the GPU if the parameters are on it, as older code does.
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    device = "cuda" if next(self.parameters()).is_cuda else "cpu"
    x = torch.randn(len(labels), *self.img_shape, device=device)
    for i in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, torch.full_like(labels, i), i)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)
