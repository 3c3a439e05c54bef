# Right implementations of bonus_sampling, written differently; ../README.md says how to add one.


# ==== right_ddim_loop_by_keywords
# about: Names all arguments, in another order.
# judge_only: true
# in: ddim.sample_ddim
def sample_ddim(
    eps_model,
    x,
    alphas_cumprod,
    times,
    *,
    eta=0.0,
    clip_x0=False,
    final_alpha_bar=1.0,
    draw_noise=torch.randn_like,
    on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = eps_model(t=t, x=x)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(
            noise=noise, clip_x0=clip_x0, eta=eta, eps=eps, x=x, alpha_bar_next=following, alpha_bar=now
        )
        if on_step is not None:
            on_step(x=x, i=torch.tensor(i))
    return x


# ==== right_ddim_loop_by_numpy
# about: Walks over numpy arrays of times and alpha_bars.
# judge_only: true
# in: ddim.top
import numpy as np

# in: ddim.sample_ddim
def sample_ddim(
    eps_model,
    x,
    alphas_cumprod,
    times,
    *,
    eta=0.0,
    clip_x0=False,
    final_alpha_bar=1.0,
    draw_noise=torch.randn_like,
    on_step=None,
):
    times = np.asarray(times)
    alpha_bars = np.append(alphas_cumprod.cpu().numpy()[times], np.float32(final_alpha_bar))
    for i, time in zip(np.arange(len(times)), times, strict=True):
        t = torch.full((len(x),), int(time), device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== right_ddim_loop_in_chunks
# about: Asks the network for eight samples at a time.
# in: ddim.sample_ddim
def sample_ddim(
    eps_model,
    x,
    alphas_cumprod,
    times,
    *,
    eta=0.0,
    clip_x0=False,
    final_alpha_bar=1.0,
    draw_noise=torch.randn_like,
    on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        pieces = zip(x.split(8), t.split(8), strict=True)
        eps = torch.cat([eps_model(part, times_of_part) for part, times_of_part in pieces])
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== right_ddim_loop_one_sample_at_a_time
# about: Asks the network for each sample by itself.
# judge_only: true
# in: ddim.sample_ddim
def sample_ddim(
    eps_model,
    x,
    alphas_cumprod,
    times,
    *,
    eta=0.0,
    clip_x0=False,
    final_alpha_bar=1.0,
    draw_noise=torch.randn_like,
    on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = torch.cat([eps_model(x[n : n + 1], t[n : n + 1]) for n in range(len(x))])
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== right_ddim_loop_while
# about: A while loop with keywords, under no_grad.
# in: ddim.sample_ddim
@torch.no_grad()
def sample_ddim(
    eps_model,
    x,
    alphas_cumprod,
    times,
    *,
    eta=0.0,
    clip_x0=False,
    final_alpha_bar=1.0,
    draw_noise=torch.randn_like,
    on_step=None,
):
    left = list(times)
    while left:
        time = left.pop(0)
        eps = eps_model(x=x, t=torch.ones_like(x[:, 0, 0, 0], dtype=torch.int64) * time)
        after = alphas_cumprod[left[0]].item() if left else final_alpha_bar
        options = {"eta": eta, "noise": draw_noise(x)} if eta else {}
        x = ddim_step(x, eps, alphas_cumprod[time].item(), after, clip_x0=clip_x0, **options)
        if on_step:
            on_step(i=len(times) - len(left) - 1, x=x)
    return x


# ==== right_ddim_noise_drawn_for_nothing
# about: Draws noise for eta = 0 too, and pairs the times.
# in: ddim.sample_ddim
def sample_ddim(
    eps_model,
    x,
    alphas_cumprod,
    times,
    *,
    eta=0.0,
    clip_x0=False,
    final_alpha_bar=1.0,
    draw_noise=torch.randn_like,
    on_step=None,
):
    following = [*times[1:], None]
    for i, (now, then) in enumerate(zip(times, following, strict=True)):
        noise = draw_noise(x)
        t = torch.tensor([now] * len(x), device=x.device)
        end = final_alpha_bar if then is None else float(alphas_cumprod[then])
        start = float(alphas_cumprod[now])
        x = ddim_step(
            x, eps_model(x, t), start, end, eta=eta, noise=noise, clip_x0=clip_x0
        )
        (on_step or (lambda number, state: None))(i, x)
    return x


# ==== right_ddim_step_by_weights
# about: Collects the weights of x and eps and never forms x_0.
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    signal, rate = math.sqrt(alpha_bar), math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt(1 - alpha_bar_next) / rate
    sigma *= math.sqrt(max(0.0, alpha_bar_next - alpha_bar) / alpha_bar_next)
    direction = math.sqrt(max(0.0, 1 - alpha_bar_next - sigma * sigma))
    if clip_x0:
        x_0 = torch.clamp((x - rate * eps) / signal, min=-1, max=1)
        eps = (x - signal * x_0) / rate
    ratio = math.sqrt(alpha_bar_next) / signal
    noise = torch.zeros_like(x) if noise is None or sigma == 0 else noise
    return torch.add(ratio * x, eps, alpha=direction - ratio * rate) + sigma * noise


# ==== right_ddim_step_double_inside
# about: Computes in float64 with tensors, and adds noise of size 0.
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    dtype, x, eps = x.dtype, x.double(), eps.double()
    a, b = torch.tensor([alpha_bar, alpha_bar_next], dtype=torch.float64)
    x_0 = (x - torch.sqrt(1 - a) * eps) / torch.sqrt(a)
    if clip_x0:
        x_0 = torch.clip(x_0, -1.0, 1.0)
        eps = (x - torch.sqrt(a) * x_0) / torch.sqrt(1 - a)
    variance = eta**2 * (1 - b) / (1 - a) * (1 - a / b)
    out = torch.sqrt(b) * x_0 + torch.sqrt((1 - b - variance).clamp(min=0)) * eps
    if noise is not None:
        out = out + torch.sqrt(variance) * noise
    return out.to(dtype)


# ==== right_ddim_step_in_another_file
# about: Predicts x_0 with a helper of a file of its own.
# in: ddim.top
from .ddim_parts import predict

# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0, eps = predict(x, eps, alpha_bar, clip_x0)
    variance = eta**2 * (1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next)
    x_next = alpha_bar_next**0.5 * x_0 + (1 - alpha_bar_next - variance) ** 0.5 * eps
    return x_next + variance**0.5 * noise if variance else x_next

# file: code/libs/ddim_parts.py
"""The parts of a DDIM step."""


def predict(x, eps, alpha_bar, clip):
    """x_0, and the noise that belongs to it."""
    x_0 = (x - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5
    if clip:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - alpha_bar**0.5 * x_0) / (1 - alpha_bar) ** 0.5
    return x_0, eps


# ==== right_ddim_step_in_double
# about: Computes in float64 and returns the precision of x.
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    dtype, x, eps = x.dtype, x.double(), eps.double()
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    x_next = x_next + sigma * noise if sigma > 0 else x_next
    return x_next.to(dtype)


# ==== right_ddim_step_numbers_as_tensors
# about: Turns alpha_bar and eta into tensors of one number.
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    a, b = torch.tensor(alpha_bar).double(), torch.tensor(alpha_bar_next).double()
    x_0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
    if clip_x0:
        x_0 = torch.clamp(x_0, min=-1, max=1)
        eps = (x - a.sqrt() * x_0) / (1 - a).sqrt()
    sigma = eta * ((1 - b) / (1 - a)).sqrt() * (1 - a / b).sqrt()
    x_next = b.sqrt() * x_0 + (1 - b - sigma**2).clamp(min=0).sqrt() * eps
    return x_next if noise is None else x_next + sigma * noise


# ==== right_ddim_step_scripted
# about: Leaves the sum to a scripted function.
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    direction = math.sqrt(1 - alpha_bar_next - sigma**2)
    x_next = weighted(x_0, eps, math.sqrt(alpha_bar_next), direction)
    return x_next + sigma * noise if sigma > 0 else x_next

# in: ddim.end
@torch.jit.script
def weighted(a: Tensor, b: Tensor, of_a: float, of_b: float) -> Tensor:
    return of_a * a + of_b * b


# ==== right_ddim_step_written_out
# about: Writes the step out in the loop.
# in: ddim.sample_ddim
def sample_ddim(
    eps_model,
    x,
    alphas_cumprod,
    times,
    *,
    eta=0.0,
    clip_x0=False,
    final_alpha_bar=1.0,
    draw_noise=torch.randn_like,
    on_step=None,
):
    for i in range(len(times)):
        last = i == len(times) - 1
        a = alphas_cumprod[times[i]]
        b = torch.as_tensor(final_alpha_bar) if last else alphas_cumprod[times[i + 1]]
        eps = eps_model(x, x.new_full((x.shape[0],), times[i]).long())
        x_0 = (x - (1 - a).sqrt() * eps) / a.sqrt()
        if clip_x0:
            x_0 = x_0.clip(-1, 1)
            eps = (x - a.sqrt() * x_0) / (1 - a).sqrt()
        sigma = eta * ((1 - b) / (1 - a) * (1 - a / b)).sqrt()
        x = b.sqrt() * x_0 + (1 - b - sigma**2).sqrt() * eps
        if eta:
            x = x + sigma * draw_noise(x)
        x = x.to(eps.dtype)
        if on_step:
            on_step(i, x)
    return x


# ==== right_ddim_step_always_float32
# about: Converts to float32, and does not convert back.
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x, eps = x.float(), eps.float()
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== right_ddim_loop_by_recursion
# about: Takes a step, and calls itself for the rest of the way.
# in: ddim.sample_ddim
def sample_ddim(
    eps_model, x, alphas_cumprod, times, *,
    eta=0.0, clip_x0=False, final_alpha_bar=1.0, draw_noise=torch.randn_like, on_step=None,
):
    def walk(i, x):
        if i == len(times):
            return x
        last = i + 1 == len(times)
        following = final_alpha_bar if last else float(alphas_cumprod[times[i + 1]])
        eps = eps_model(x, x.new_full((len(x),), times[i], dtype=torch.long))
        x = ddim_step(
            x, eps, float(alphas_cumprod[times[i]]), following,
            eta=eta, noise=draw_noise(x) if eta else None, clip_x0=clip_x0,
        )
        if on_step:
            on_step(i, x)
        return walk(i + 1, x)

    return walk(0, x)
