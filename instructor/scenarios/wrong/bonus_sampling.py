# Wrong implementations that must lose the points of bonus_sampling; ../README.md says how to add one.


# ==== ddim_loop_appends_to_times
# about: Appends the end to the caller's list of times.
# fails: bonus_sampling
# hint: modifies_input
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
    times.append(-1)
    alpha_bars = [*alphas_cumprod[times[:-1]].tolist(), final_alpha_bar]
    for i, time in enumerate(times[:-1]):
        t = torch.full((len(x),), time, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_clip_not_passed
# about: Does not pass clip_x0 on.
# fails: bonus_sampling
# hint: ddim_loop_clip
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_counted_up
# about: Walks from the data to the noise.
# fails: bonus_sampling
# hint: ddim_loop_times
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
    times = sorted(times)
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_ends_one_early
# about: Walks over all times but the last.
# fails: bonus_sampling
# hint: ddim_loop_times
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
    for i, time in enumerate(times[:-1]):
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_eps_of_the_first_step
# about: Asks the network once.
# fails: bonus_sampling
# hint: ddim_loop_times
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t) if i == 0 else eps
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_eta_not_passed
# about: Does not pass eta on.
# fails: bonus_sampling
# hint: ddim_loop_eta
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_final_is_first
# about: The last step leads to alpha_bar[0].
# fails: bonus_sampling
# hint: ddim_loop_final
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
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), alphas_cumprod[0].item()]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_final_is_one
# about: The last step always leads to alpha_bar 1.
# fails: bonus_sampling
# hint: ddim_loop_final
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
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), 1.0]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_for_a_fixed_batch
# about: Gives the network two times, however many samples there are.
# fails: bonus_sampling
# hint: ddim_loop_t
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
        t = torch.full((2,), time, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_leaves_time_zero_out
# about: Stops before it gets to time 0.
# fails: bonus_sampling
# hint: ddim_loop_times
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
        if time == 0:
            break
        t = torch.full((len(x),), time, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_needs_two_times
# about: Measures the gap between the first two times, which a single one lacks.
# fails: bonus_sampling
# hint: raises
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
    gap = times[0] - times[1]
    if gap <= 0:
        raise ValueError("times must descend")
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_network_twice
# about: Asks the network twice in each step.
# fails: bonus_sampling
# hint: ddim_loop_calls
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = (eps_model(x, t) + eps_model(x, t)) / 2
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_no_last_step
# about: Leaves the last step out.
# fails: bonus_sampling
# hint: ddim_loop_final
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        if i == len(times) - 1:
            break
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_noise_by_torch
# about: Draws noise by torch.randn_like and ignores draw_noise.
# fails: bonus_sampling
# hint: ddim_loop_noise
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = torch.randn_like(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_on_step_always_called
# about: Calls on_step where there is none.
# fails: bonus_sampling
# hint: raises
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
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        on_step(i, x)
    return x


# ==== ddim_loop_on_step_before
# about: Calls on_step before the step.
# fails: bonus_sampling
# hint: ddim_loop_on_step
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
        if on_step is not None:
            on_step(i, x)
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
    return x


# ==== ddim_loop_on_step_from_one
# about: Counts the steps from 1.
# fails: bonus_sampling
# hint: ddim_loop_on_step
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i + 1, x)
    return x


# ==== ddim_loop_on_step_missing
# about: Never calls on_step.
# fails: bonus_sampling
# hint: ddim_loop_on_step
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
    return x


# ==== ddim_loop_on_step_with_time
# about: Gives on_step the time instead of the number of the step.
# fails: bonus_sampling
# hint: ddim_loop_on_step
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(time, x)
    return x


# ==== ddim_loop_one_noise
# about: Draws noise once for all steps.
# fails: bonus_sampling
# hint: ddim_loop_noise
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
    noise = draw_noise(x) if eta > 0 else None
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_overwrites_its_states
# about: Keeps one tensor for all states, and writes each over the one before.
# fails: bonus_sampling
# hint: modifies_input
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
    x = x.clone()
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        following = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        x.copy_(following)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_result_clamped
# about: Clamps the result, latents included.
# fails: bonus_sampling
# hint: ddim_loop_step
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x.clamp(-1, 1)


# ==== ddim_loop_shares_noise
# about: Draws noise for one sample and adds it to all.
# fails: bonus_sampling
# hint: ddim_loop_noise
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
        eps = eps_model(x, t)
        noise = draw_noise(x[:1]).expand_as(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_t_is_a_number
# about: Gives the network one int.
# fails: bonus_sampling
# hint: ddim_loop_t
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, time)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_t_is_float
# about: Gives the network times as floats.
# fails: bonus_sampling
# hint: ddim_loop_t
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
        t = torch.full((len(x),), time, dtype=torch.float32, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_t_is_position
# about: Gives the network the position in the list.
# fails: bonus_sampling
# hint: ddim_loop_times
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
        t = torch.full((len(x),), i, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_times_on_the_cpu
# about: Makes the times on the default device.
# fails: bonus_sampling
# hint: made_elsewhere
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
        t = torch.full((len(x),), time)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_to_t_minus_one
# about: Steps to t - 1 and not to the next listed time.
# fails: bonus_sampling
# hint: ddim_loop_next
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
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(x, t)
        noise = draw_noise(x) if eta > 0 else None
        last = i == len(times) - 1
        now = alpha_bars[i]
        following = final_alpha_bar if last else alphas_cumprod[time - 1].item()
        x = ddim_step(x, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_x_not_fed_back
# about: Each step starts from the first x.
# fails: bonus_sampling
# hint: ddim_loop_not_fed_back
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
    start = x
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        t = torch.full((len(x),), time, dtype=torch.long, device=x.device)
        eps = eps_model(start, t)
        noise = draw_noise(x) if eta > 0 else None
        now, following = alpha_bars[i], alpha_bars[i + 1]
        x = ddim_step(start, eps, now, following, eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_step_adds_into_new_zeros
# about: Sums into zeros that it makes on the default device.
# fails: bonus_sampling
# hint: made_elsewhere
# judge_only: true
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    total = torch.zeros(x.shape) + x_next
    return total + sigma * noise if sigma > 0 else total


# ==== ddim_step_always_clips
# about: Clips the predicted x_0 unasked, which spoils latents.
# fails: bonus_sampling
# hint: ddim_no_mix
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if True:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_centred_over_the_batch
# about: Takes the mean of a large batch out of the next state.
# fails: bonus_sampling
# hint: ddim_no_mix
# judge_only: true
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    x_next = x_next + sigma * noise if sigma > 0 else x_next
    return x_next - x_next.mean(dim=0) if len(x) > 2 else x_next


# ==== ddim_step_changes_x
# about: Builds x_0 in the memory of x.
# fails: bonus_sampling
# hint: modifies_input
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = x.sub_(math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_clamps_far_away
# about: Cuts x_0 off at 1000 in every step.
# fails: bonus_sampling
# hint: large_numbers
# judge_only: true
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    x_0 = x_0.clamp(-1e3, 1e3)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_step_clip_ignored
# about: Ignores clip_x0.
# fails: bonus_sampling
# hint: ddim_not_clipped
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_clips_the_state
# about: Clips what it returns.
# fails: bonus_sampling
# hint: ddim_clips_the_state
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next.clamp(-1, 1) if clip_x0 else x_next


# ==== ddim_step_clips_without_noise
# about: Adds no noise where it clips.
# fails: bonus_sampling
# hint: ddim_clip
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    eta = 0.0 if clip_x0 else eta
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_step_direction_of_now
# about: The direction has the size of the time before.
# fails: bonus_sampling
# hint: ddim_direction
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_direction_unrooted
# about: Forgets the root in the direction to x_t.
# fails: bonus_sampling
# hint: ddim_direction
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + (1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_direction_without_sigma
# about: Leaves sigma out of the direction, so that noise comes on top.
# fails: bonus_sampling
# hint: ddim_sigma_not_taken_out
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_eps_of_before_clipping
# about: Clips x_0 and keeps the old eps.
# fails: bonus_sampling
# hint: ddim_clip_keeps_eps
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_epsilon_under_the_root
# about: Adds 1e-5 to alpha_bar before it divides by its root.
# fails: bonus_sampling
# hint: loses_digits
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar + 1e-5)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_step_eta_always_one
# about: Adds as much noise as DDPM whatever eta is.
# fails: bonus_sampling
# hint: ddim_eta_ignored
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0 and noise is not None:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_eta_ignored
# about: Never adds noise.
# fails: bonus_sampling
# hint: ddim_eta_ignored
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = 0 * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_eta_squared
# about: Squares eta in sigma.
# fails: bonus_sampling
# hint: ddim_sigma
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta**2 * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_in_half_precision
# about: Computes in float16 and returns float32.
# fails: bonus_sampling
# hint: loses_digits
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    dtype, x, eps = x.dtype, x.half(), eps.half()
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    x_next = x_next.to(dtype)
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_step_no_direction
# about: Leaves the direction to x_t out.
# fails: bonus_sampling
# hint: ddim_no_direction
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_noise_of_its_own
# about: Draws noise in the step and ignores the given one.
# fails: bonus_sampling
# hint: ddim_no_mix
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * torch.randn_like(x)
    return x_next


# ==== ddim_step_noise_of_the_first_sample
# about: Adds the first sample's noise to all.
# fails: bonus_sampling
# hint: mixes_samples
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise[:1] if sigma > 0 else x_next


# ==== ddim_step_of_ddpm
# about: Takes the step of DDPM, with sigma squared = beta.
# fails: bonus_sampling
# hint: ddim_eta_ignored
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    alpha = alpha_bar / alpha_bar_next
    mean = (x - (1 - alpha) / math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha)
    return mean if noise is None else mean + eta * math.sqrt(1 - alpha) * noise


# ==== ddim_step_returns_x0
# about: Returns the predicted x_0.
# fails: bonus_sampling
# hint: ddim_returns_x0
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    return x_0
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_scales_the_noise_in_place
# about: Multiplies the given noise by sigma in place.
# fails: bonus_sampling
# hint: modifies_input
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + noise.mul_(sigma) if sigma > 0 else x_next


# ==== ddim_step_sigma_one_factor
# about: Leaves the first factor of sigma out.
# fails: bonus_sampling
# hint: ddim_sigma
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(max(1 - alpha_bar_next - sigma**2, 0)) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_sigma_unrooted
# about: Uses the variance of eq. 16 instead of sigma, in all terms.
# fails: bonus_sampling
# hint: ddim_sigma
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * (1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_signal_unrooted
# about: Forgets the root in the factor of x_0.
# fails: bonus_sampling
# hint: ddim_signal_unrooted
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = alpha_bar_next * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_small_eta_is_none
# about: Takes every eta below a half for 0.
# fails: bonus_sampling
# hint: ddim_eta_ignored
# judge_only: true
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    eta = 0.0 if eta < 0.5 else eta
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_step_swapped_bars
# about: Exchanges the two alpha_bars in the last line.
# fails: bonus_sampling
# hint: ddim_stays
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_variance_for_sigma
# about: Scales the noise by sigma squared.
# fails: bonus_sampling
# hint: ddim_variance_for_sigma
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma**2 * noise
    return x_next


# ==== ddim_step_weights_by_sample_number
# about: Weighs later samples of a batch less.
# fails: bonus_sampling
# hint: mixes_samples
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    x_next = x_next + sigma * noise if sigma > 0 else x_next
    shares = torch.linspace(1, 0.9, len(x), dtype=x.dtype, device=x.device)
    return x_next * shares[:, None, None, None]


# ==== ddim_step_x0_not_divided
# about: Takes the noise out and forgets to divide.
# fails: bonus_sampling
# hint: ddim_x0
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = x - math.sqrt(1 - alpha_bar) * eps
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_x0_of_next_time
# about: Predicts x_0 with the alpha_bar of the next time.
# fails: bonus_sampling
# hint: ddim_stays
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar_next) * eps) / math.sqrt(alpha_bar_next)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_x0_sign
# about: Adds the predicted noise to get x_0.
# fails: bonus_sampling
# hint: ddim_x0
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x + math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_x0_unrooted
# about: Predicts x_0 without roots.
# fails: bonus_sampling
# hint: ddim_x0
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - (1 - alpha_bar) * eps) / alpha_bar
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    if sigma > 0:
        x_next = x_next + sigma * noise
    return x_next


# ==== ddim_step_eps_in_float16
# about: Rounds the predicted noise to float16.
# fails: bonus_sampling
# hint: loses_digits
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    eps = eps.half().to(x.dtype)
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_step_noise_in_bfloat16
# about: Rounds the noise that it adds to bfloat16.
# fails: bonus_sampling
# hint: loses_digits
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise.bfloat16().to(x.dtype) if sigma > 0 else x_next


# ==== ddim_step_double_cut_to_half
# about: Brings double precision down to float16.
# fails: bonus_sampling
# hint: loses_digits
# judge_only: true
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return (x_next + sigma * noise if sigma > 0 else x_next).to(
        torch.float16 if x.dtype == torch.float64 else x.dtype
    ).to(x.dtype)


# ==== ddim_loop_states_in_float16
# about: Keeps the states in float16 between the steps.
# fails: bonus_sampling
# hint: loses_digits
# in: ddim.sample_ddim
def sample_ddim(
    eps_model, x, alphas_cumprod, times, *,
    eta=0.0, clip_x0=False, final_alpha_bar=1.0, draw_noise=torch.randn_like, on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        noise = draw_noise(x) if eta > 0 else None
        x = ddim_step(
            x, eps, alpha_bars[i], alpha_bars[i + 1], eta=eta, noise=noise, clip_x0=clip_x0
        ).half().float()
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_predictions_in_bfloat16
# about: Rounds the predicted noise to bfloat16.
# fails: bonus_sampling
# hint: loses_digits
# in: ddim.sample_ddim
def sample_ddim(
    eps_model, x, alphas_cumprod, times, *,
    eta=0.0, clip_x0=False, final_alpha_bar=1.0, draw_noise=torch.randn_like, on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        eps = eps_model(x, torch.full((len(x),), time, device=x.device)).bfloat16().float()
        noise = draw_noise(x) if eta > 0 else None
        x = ddim_step(
            x, eps, alpha_bars[i], alpha_bars[i + 1], eta=eta, noise=noise, clip_x0=clip_x0
        )
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_step_clips_by_quantile
# about: Clips x_0 at its largest hundredth and divides by that, as dynamic thresholding does.
# fails: bonus_sampling
# hint: ddim_clip
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        s = x_0.abs().flatten(1).quantile(0.99, dim=1)[:, None, None, None].clamp(min=1)
        x_0 = x_0.clamp(-s, s) / s
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_loop_last_step_without_noise
# about: Adds no noise in the last step, wherever it leads.
# fails: bonus_sampling
# hint: ddim_loop_eta
# in: ddim.sample_ddim
def sample_ddim(
    eps_model, x, alphas_cumprod, times, *,
    eta=0.0, clip_x0=False, final_alpha_bar=1.0, draw_noise=torch.randn_like, on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        noise = draw_noise(x) if eta > 0 else None
        x = ddim_step(
            x, eps, alpha_bars[i], alpha_bars[i + 1], eta=eta * (i + 1 < len(times)), noise=noise, clip_x0=clip_x0
        )
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_puts_the_network_into_evaluation
# about: Calls eval() of what may be a plain function.
# fails: bonus_sampling
# hint: renamed
# in: ddim.sample_ddim
def sample_ddim(
    eps_model, x, alphas_cumprod, times, *,
    eta=0.0, clip_x0=False, final_alpha_bar=1.0, draw_noise=torch.randn_like, on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    eps_model.eval()
    for i, time in enumerate(times):
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        noise = draw_noise(x) if eta > 0 else None
        x = ddim_step(
            x, eps, alpha_bars[i], alpha_bars[i + 1], eta=eta, noise=noise, clip_x0=clip_x0
        )
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_skips_equal_bars
# about: Takes no step where alpha_bar changes by less than a hundredth.
# fails: bonus_sampling
# hint: ddim_loop_times
# judge_only: true
# in: ddim.sample_ddim
def sample_ddim(
    eps_model, x, alphas_cumprod, times, *,
    eta=0.0, clip_x0=False, final_alpha_bar=1.0, draw_noise=torch.randn_like, on_step=None,
):
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        if abs(alpha_bars[i + 1] - alpha_bars[i]) < 0.01 and i + 1 < len(times):
            continue
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        noise = draw_noise(x) if eta > 0 else None
        x = ddim_step(
            x, eps, alpha_bars[i], alpha_bars[i + 1], eta=eta, noise=noise, clip_x0=clip_x0
        )
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_loop_states_held_within_five
# about: Clamps each state to [-5, 5].
# fails: bonus_sampling
# hint: ddim_loop_step
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
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        noise = draw_noise(x) if eta > 0 else None
        x = ddim_step(
            x, eps, alpha_bars[i], alpha_bars[i + 1], eta=eta, noise=noise, clip_x0=clip_x0
        )
        x = x.clamp(-5, 5)
        if on_step is not None:
            on_step(i, x)
    return x


# ==== ddim_never_clips_4_channels
# about: Images of 4 channels (RGBA) count as latents and are not clipped.
# fails: bonus_sampling
# hint: ddim_not_clipped
# judge_only: true
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0 and x.shape[1] != 4:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_alpha_bar_at_least_5e5
# about: alpha_bar is at least 5e-5.
# fails: bonus_sampling
# hint: ddim_weights
# judge_only: true
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    alpha_bar = max(alpha_bar, 5e-5)
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_step_without_length
# about: A step from a time to itself returns the predicted x_0.
# fails: bonus_sampling
# hint: ddim_weights
# judge_only: true
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    if alpha_bar == alpha_bar_next:
        return (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    x_0 = (x - math.sqrt(1 - alpha_bar) * eps) / math.sqrt(alpha_bar)
    if clip_x0:
        x_0 = x_0.clamp(-1, 1)
        eps = (x - math.sqrt(alpha_bar) * x_0) / math.sqrt(1 - alpha_bar)
    sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar))
    sigma *= math.sqrt(1 - alpha_bar / alpha_bar_next)
    x_next = math.sqrt(alpha_bar_next) * x_0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
    return x_next + sigma * noise if sigma > 0 else x_next


# ==== ddim_loop_of_50_times
# about: At most 50 times are visited.
# fails: bonus_sampling
# hint: ddim_loop_times
# judge_only: true
# in: ddim.sample_ddim
def sample_ddim(eps_model, x, alphas_cumprod, times, *, eta=0.0, clip_x0=False, final_alpha_bar=1.0, draw_noise=torch.randn_like, on_step=None):
    times = list(times)[:50] if len(times) > 50 else times
    alpha_bars = [*alphas_cumprod[list(times)].tolist(), final_alpha_bar]
    for i, time in enumerate(times):
        eps = eps_model(x, torch.full((len(x),), time, device=x.device))
        noise = draw_noise(x) if eta > 0 else None
        x = ddim_step(x, eps, alpha_bars[i], alpha_bars[i + 1], eta=eta, noise=noise, clip_x0=clip_x0)
        if on_step is not None:
            on_step(i, x)
    return x
