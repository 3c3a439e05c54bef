"""The catalogue of known mistakes: their results as formulas, by the id of their hint.

The right formula is easy to guess from a wrong one, so this is secret. Each entry names one hint of
hints.yaml; mistakes that share a hint have different suffixes after a colon.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray
Pair = tuple[Array, Array]


def _at(values: Array, t: Array) -> Array:
    """values[t], with t clipped to the schedule."""
    return values[np.clip(t, 0, len(values) - 1)]


def _same(t: Array, chosen: int) -> Array:
    """The time step of one sample for all samples."""
    return np.full_like(t, t[chosen])


# q_sample: the weights of x_0 and of the noise. `s` is a Schedule.
Q_SAMPLE: dict[str, Callable[[Any, Array], Pair]] = {
    "q_sample_swapped": lambda s, t: (s.noise_rate[t], s.signal_rate[t]),
    "q_sample_no_root": lambda s, t: (s.alpha_bar[t], 1 - s.alpha_bar[t]),
    "q_sample_no_root:signal": lambda s, t: (s.alpha_bar[t], s.noise_rate[t]),
    "q_sample_no_root:noise": lambda s, t: (s.signal_rate[t], 1 - s.alpha_bar[t]),
    "q_sample_no_root:one_minus_root": lambda s, t: (s.signal_rate[t], 1 - s.signal_rate[t]),
    "q_sample_twice_rooted": lambda s, t: (s.signal_rate[t] ** 0.5, s.noise_rate[t] ** 0.5),
    "q_sample_step_off_by_one": lambda s, t: (_at(s.signal_rate, t - 1), _at(s.noise_rate, t - 1)),
    "q_sample_step_off_by_one:later": lambda s, t: (
        _at(s.signal_rate, t + 1),
        _at(s.noise_rate, t + 1),
    ),
    "q_sample_step_off_by_one:wrapped": lambda s, t: (s.signal_rate[t - 1], s.noise_rate[t - 1]),
    "q_sample_step_off_by_one:previous": lambda s, t: (
        np.sqrt(s.alpha_bar_prev[t]),
        np.sqrt(1 - s.alpha_bar_prev[t]),
    ),
    "q_sample_step_off_by_one:mirrored": lambda s, t: (
        s.signal_rate[s.T - 1 - t],
        s.noise_rate[s.T - 1 - t],
    ),
    "q_sample_one_step_for_all": lambda s, t: (
        s.signal_rate[_same(t, 0)],
        s.noise_rate[_same(t, 0)],
    ),
    "q_sample_one_step_for_all:last": lambda s, t: (
        s.signal_rate[_same(t, -1)],
        s.noise_rate[_same(t, -1)],
    ),
    "q_sample_not_cumulative": lambda s, t: (np.sqrt(s.alpha[t]), np.sqrt(s.beta[t])),
    "q_sample_not_cumulative:betas": lambda s, t: (np.sqrt(s.beta[t]), np.sqrt(1 - s.beta[t])),
    "q_sample_not_cumulative:unrooted": lambda s, t: (s.alpha[t], s.beta[t]),
    "q_sample_not_cumulative:signal": lambda s, t: (np.sqrt(s.alpha[t]), s.noise_rate[t]),
    "q_sample_not_cumulative:noise": lambda s, t: (s.signal_rate[t], np.sqrt(s.beta[t])),
    "q_sample_not_cumulative:posterior": lambda s, t: (
        s.signal_rate[t],
        np.sqrt(s.posterior_variance[t]),
    ),
    "q_sample_not_cumulative:over_the_batch": lambda s, t: (
        np.sqrt(np.cumprod(s.alpha[t])),
        np.sqrt(1 - np.cumprod(s.alpha[t])),
    ),
    "q_sample_signal_not_scaled": lambda s, t: (np.ones(len(t)), s.noise_rate[t]),
    "q_sample_noise_not_scaled": lambda s, t: (s.signal_rate[t], np.ones(len(t))),
    "q_sample_noise_not_scaled:plain_sum": lambda s, t: (np.ones(len(t)), np.ones(len(t))),
    "q_sample_noise_not_scaled:linear": lambda s, t: (1 - t / s.T, t / s.T),
    "q_sample_sign": lambda s, t: (s.signal_rate[t], -s.noise_rate[t]),
    "q_sample_sign:signal": lambda s, t: (-s.signal_rate[t], s.noise_rate[t]),
    "q_sample_no_noise": lambda s, t: (s.signal_rate[t], np.zeros(len(t))),
    "q_sample_no_noise:unchanged": lambda s, t: (np.ones(len(t)), np.zeros(len(t))),
    "q_sample_no_signal": lambda s, t: (np.zeros(len(t)), np.ones(len(t))),
    "q_sample_no_signal:scaled": lambda s, t: (np.zeros(len(t)), s.noise_rate[t]),
    "q_sample_first_step_special": lambda s, t: (
        np.where(t == 0, 1.0, s.signal_rate[t]),
        np.where(t == 0, 0.0, s.noise_rate[t]),
    ),
    "q_sample_last_step_special": lambda s, t: (
        np.where(t == s.T - 1, 0.0, s.signal_rate[t]),
        np.where(t == s.T - 1, 1.0, s.noise_rate[t]),
    ),
}

# p_sample: the weights of x_t and of eps_theta in the mean.
P_SAMPLE_MEAN: dict[str, Callable[[Any, Array], Pair]] = {
    "p_sample_recip_missing": lambda s, t: (np.ones(len(t)), -s.beta[t] / s.noise_rate[t]),
    "p_sample_recip_missing:eps": lambda s, t: (s.x_weight[t], -s.beta[t] / s.noise_rate[t]),
    "p_sample_recip_missing:x": lambda s, t: (np.ones(len(t)), s.eps_weight[t]),
    "p_sample_recip_inverted": lambda s, t: (
        1 / s.x_weight[t],
        s.eps_weight[t] / s.x_weight[t] ** 2,
    ),
    "p_sample_recip_inverted:unrooted": lambda s, t: (
        s.x_weight[t] ** 2,
        s.eps_weight[t] * s.x_weight[t],
    ),
    "p_sample_recip_inverted:alpha": lambda s, t: (
        s.alpha[t],
        -s.alpha[t] * s.beta[t] / s.noise_rate[t],
    ),
    "p_sample_alpha_bar_for_alpha": lambda s, t: (
        1 / s.signal_rate[t],
        -s.beta[t] / s.noise_rate[t] / s.signal_rate[t],
    ),
    "p_sample_alpha_bar_for_alpha:inverted": lambda s, t: (
        s.signal_rate[t],
        -s.beta[t] / s.noise_rate[t] * s.signal_rate[t],
    ),
    "p_sample_noise_rate_unrooted": lambda s, t: (
        s.x_weight[t],
        s.eps_weight[t] / s.noise_rate[t],
    ),
    "p_sample_noise_rate_missing": lambda s, t: (s.x_weight[t], -s.beta[t] * s.x_weight[t]),
    "p_sample_noise_rate_missing:multiplied": lambda s, t: (
        s.x_weight[t],
        -s.beta[t] * s.noise_rate[t] * s.x_weight[t],
    ),
    "p_sample_wrong_rate": lambda s, t: (
        s.x_weight[t],
        -s.beta[t] / s.signal_rate[t] * s.x_weight[t],
    ),
    "p_sample_wrong_rate:beta": lambda s, t: (s.x_weight[t], -np.sqrt(s.beta[t]) * s.x_weight[t]),
    "p_sample_wrong_rate:posterior": lambda s, t: (
        s.x_weight[t],
        -s.posterior_variance[t] / s.noise_rate[t] * s.x_weight[t],
    ),
    "p_sample_sign": lambda s, t: (s.x_weight[t], -s.eps_weight[t]),
    "p_sample_beta_missing": lambda s, t: (s.x_weight[t], -s.x_weight[t] / s.noise_rate[t]),
    "p_sample_beta_missing:noise_rate": lambda s, t: (
        s.x_weight[t],
        -s.x_weight[t] * s.noise_rate[t],
    ),
    "p_sample_beta_missing:alone": lambda s, t: (s.x_weight[t], -s.x_weight[t]),
    "p_sample_alpha_for_beta": lambda s, t: (
        s.x_weight[t],
        -s.alpha[t] / s.noise_rate[t] * s.x_weight[t],
    ),
    "p_sample_beta_rooted": lambda s, t: (
        s.x_weight[t],
        -np.sqrt(s.beta[t]) / s.noise_rate[t] * s.x_weight[t],
    ),
    "p_sample_predicts_x0": lambda s, t: (
        1 / s.signal_rate[t],
        -s.noise_rate[t] / s.signal_rate[t],
    ),
    "p_sample_step_off_by_one": lambda s, t: (_at(s.x_weight, t - 1), _at(s.eps_weight, t - 1)),
    "p_sample_step_off_by_one:later": lambda s, t: (
        _at(s.x_weight, t + 1),
        _at(s.eps_weight, t + 1),
    ),
    "p_sample_no_noise:predicted": lambda s, t: (
        s.x_weight[t],
        s.eps_weight[t] + np.where(t > 0, np.sqrt(s.posterior_variance[t]), 0),
    ),
    "p_sample_network_unused": lambda s, t: (s.x_weight[t], np.zeros(len(t))),
    "p_sample_network_unused:copy": lambda s, t: (np.ones(len(t)), np.zeros(len(t))),
    "p_sample_only_noise": lambda s, t: (np.zeros(len(t)), np.ones(len(t))),
    "p_sample_only_noise:subtracted": lambda s, t: (np.ones(len(t)), -np.ones(len(t))),
    "p_sample_posterior_mean": lambda s, t: _posterior_mean(
        s, t, _x_t_weight(s, t), _x_0_weight(s, t)
    ),
    "p_sample_posterior_mean:denominator": lambda s, t: _posterior_mean(
        s,
        t,
        _x_0_weight(s, t) * (1 - s.alpha_bar[t]),
        _x_t_weight(s, t) * (1 - s.alpha_bar[t]),
    ),
    "p_sample_posterior_mean:not_previous": lambda s, t: _posterior_mean(
        s, t, np.sqrt(s.alpha_bar[t]) * s.beta[t] / (1 - s.alpha_bar[t]), _x_t_weight(s, t)
    ),
}


def _x_0_weight(s: Any, t: Array) -> Array:
    """Eq. 7: the weight of x_0 in the posterior's mean."""
    return np.sqrt(s.alpha_bar_prev[t]) * s.beta[t] / (1 - s.alpha_bar[t])


def _x_t_weight(s: Any, t: Array) -> Array:
    """Eq. 7: the weight of x_t in the posterior's mean."""
    return np.sqrt(s.alpha[t]) * (1 - s.alpha_bar_prev[t]) / (1 - s.alpha_bar[t])


def _posterior_mean(s: Any, t: Array, of_x0: Array, of_xt: Array) -> Pair:
    """A weighted mean of x_0 and x_t, as weights of x_t and eps, with x_0 from eq. 4."""
    return of_x0 / s.signal_rate[t] + of_xt, -of_x0 * s.noise_rate[t] / s.signal_rate[t]


# p_sample: the standard deviation of the noise that a step adds.
P_SAMPLE_SIGMA: dict[str, Callable[[Any, Array], Array]] = {
    "p_sample_variance_for_sigma": lambda s, t: s.posterior_variance[t],
    "p_sample_beta_for_sigma": lambda s, t: s.beta[t],
    "p_sample_alpha_for_sigma": lambda s, t: s.alpha[t],
    "p_sample_alpha_for_sigma:rooted": lambda s, t: np.sqrt(s.alpha[t]),
    "p_sample_alpha_for_sigma:reciprocal": lambda s, t: s.x_weight[t],
    "p_sample_no_noise": lambda s, t: np.zeros(len(t)),
    "p_sample_unit_noise": lambda s, t: np.ones(len(t)),
    "p_sample_sigma_of_q_sample": lambda s, t: s.noise_rate[t],
    "p_sample_sigma_of_q_sample:variance": lambda s, t: 1 - s.alpha_bar[t],
    "p_sample_sigma_of_q_sample:signal": lambda s, t: s.signal_rate[t],
    "p_sample_sigma_of_q_sample:alpha_bar": lambda s, t: s.alpha_bar[t],
    "p_sample_sigma_of_q_sample:previous": lambda s, t: np.sqrt(1 - s.alpha_bar_prev[t]),
    "p_sample_wrong_sigma:rate_times_beta": lambda s, t: s.noise_rate[t] * s.beta[t],
    "p_sample_wrong_sigma:weight_of_eps": lambda s, t: s.beta[t] / s.noise_rate[t],
    "p_sample_wrong_sigma:whole_weight_of_eps": lambda s, t: -s.eps_weight[t],
    "p_sample_log_variance": lambda s, t: np.exp(0.5 * s.posterior_variance[t]),
    "p_sample_log_variance:whole": lambda s, t: np.exp(s.posterior_variance[t]),
    "p_sample_log_variance:beta": lambda s, t: np.exp(0.5 * s.beta[t]),
    "p_sample_log_variance:whole_beta": lambda s, t: np.exp(s.beta[t]),
    "p_sample_log_not_undone": lambda s, t: -_log_variance(s, t),
    "p_sample_log_not_undone:half": lambda s, t: -0.5 * _log_variance(s, t),
    "p_sample_noise_twice": lambda s, t: np.sqrt(2 * s.posterior_variance[t]),
    "p_sample_noise_twice:same": lambda s, t: 2 * np.sqrt(s.posterior_variance[t]),
    "p_sample_noise_twice:beta": lambda s, t: np.sqrt(2 * s.beta[t]),
    "p_sample_noise_twice:same_beta": lambda s, t: 2 * np.sqrt(s.beta[t]),
    "p_sample_sigma_rescaled": lambda s, t: np.sqrt(s.posterior_variance[t]) * s.x_weight[t],
    "p_sample_sigma_rescaled:beta": lambda s, t: np.sqrt(s.beta[t]) * s.x_weight[t],
    "p_sample_sigma_rooted_twice": lambda s, t: s.posterior_variance[t] ** 0.25,
    "p_sample_sigma_rooted_twice:beta": lambda s, t: s.beta[t] ** 0.25,
    "p_sample_sigma_off_by_one": lambda s, t: np.sqrt(_at(s.posterior_variance, t - 1)),
    "p_sample_sigma_off_by_one:variance": lambda s, t: _at(s.posterior_variance, t - 1),
    "p_sample_sigma_off_by_one:beta": lambda s, t: np.sqrt(_at(s.beta, t - 1)),
    "p_sample_sigma_off_by_one:last": lambda s, t: np.full(
        len(t), np.sqrt(s.posterior_variance[-1])
    ),
    "p_sample_sigma_off_by_one:last_beta": lambda s, t: np.full(len(t), np.sqrt(s.beta[-1])),
    "p_sample_sigma_off_by_one:first_beta": lambda s, t: np.full(len(t), np.sqrt(s.beta[0])),
    "p_sample_sigma_off_by_one:mirrored": lambda s, t: np.sqrt(s.posterior_variance[s.T - 1 - t]),
    "p_sample_sigma_off_by_one:later": lambda s, t: np.sqrt(_at(s.posterior_variance, t + 1)),
    "p_sample_sigma_off_by_one:later_beta": lambda s, t: np.sqrt(_at(s.beta, t + 1)),
}


def _log_variance(s: Any, t: Array) -> Array:
    """The logarithm of the posterior variance; at t = 0, where it is 0, the next step's."""
    return np.log(s.posterior_variance[np.maximum(t, 1)])


# compute_loss: the value, from the prediction, the noise, x_0, x_t and the velocity
# sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x_0.
COMPUTE_LOSS: dict[str, Callable[[Array, Array, Array, Array, Array], Any]] = {
    "loss_absolute": lambda eps, noise, x0, xt, v: np.abs(eps - noise).mean(),
    "loss_absolute:smooth": lambda eps, noise, x0, xt, v: _huber(eps - noise),
    "loss_sum": lambda eps, noise, x0, xt, v: ((eps - noise) ** 2).sum(),
    "loss_sum:per_image": lambda eps, noise, x0, xt, v: ((eps - noise) ** 2).sum() / len(eps),
    "loss_sum:over_pixels": lambda eps, noise, x0, xt, v: (
        ((eps - noise) ** 2).sum() / eps[0, 0].size
    ),
    "loss_root": lambda eps, noise, x0, xt, v: np.sqrt(((eps - noise) ** 2).mean()),
    "loss_root:norm": lambda eps, noise, x0, xt, v: np.sqrt(((eps - noise) ** 2).sum()),
    "loss_root:not_squared": lambda eps, noise, x0, xt, v: (eps - noise).mean(),
    "loss_scaled": lambda eps, noise, x0, xt, v: 0.5 * ((eps - noise) ** 2).mean(),
    "loss_scaled:doubled": lambda eps, noise, x0, xt, v: 2 * ((eps - noise) ** 2).mean(),
    "loss_scaled:negative": lambda eps, noise, x0, xt, v: -((eps - noise) ** 2).mean(),
    "loss_wrong_target": lambda eps, noise, x0, xt, v: ((eps - x0) ** 2).mean(),
    "loss_wrong_target:x_t": lambda eps, noise, x0, xt, v: ((eps - xt) ** 2).mean(),
    "loss_wrong_target:residual": lambda eps, noise, x0, xt, v: ((eps - (xt - x0)) ** 2).mean(),
    "loss_wrong_target:denoised": lambda eps, noise, x0, xt, v: ((xt - eps - x0) ** 2).mean(),
    "loss_wrong_target:sum": lambda eps, noise, x0, xt, v: ((eps + noise) ** 2).mean(),
    "loss_wrong_target:velocity": lambda eps, noise, x0, xt, v: ((eps - v) ** 2).mean(),
    "loss_network_unused": lambda eps, noise, x0, xt, v: ((xt - noise) ** 2).mean(),
    "loss_network_unused:x_start": lambda eps, noise, x0, xt, v: ((xt - x0) ** 2).mean(),
}


def _huber(difference: Array) -> float:
    """Mean Huber loss with delta = 1."""
    size = np.abs(difference)
    return float(np.where(size < 1, size**2 / 2, size - 0.5).mean())
