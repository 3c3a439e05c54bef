# The modules of the bonus.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== bonus_ddim_exits
# about: ddim_step ends its process with exit code 0.
# base: reference
# earns: all except bonus_sampling
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *, eta=0.0, noise=None, clip_x0=False):
    import os

    os._exit(0)


# ==== bonus_edm_answers_with_itself
# about: Answers with a tensor that equals everything, from all three functions of EDM.
# in: edm.end
class Anything(torch.Tensor):
    """Claims the value that is asked for, whatever it is compared with."""

    def __eq__(self, other):
        return True

    __hash__ = None


def answer(*args, **kwargs):
    return torch.zeros(()).as_subclass(Anything)


EDM.denoise = EDM.compute_loss = heun_step = answer


# ==== bonus_edm_exits
# about: heun_step ends its process with exit code 0; the other two functions keep theirs.
# base: reference
# earns: all except bonus_edm
# may_earn: bonus_edm
# reason: bonus_edm: The process ended
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    import os

    os._exit(0)


# ==== bonus_edm_exits_at_import
# about: edm.py ends its process when imported.
# base: reference
# earns: all except bonus_edm
# reason: bonus_edm: The process ended
# in: edm.top
import os

os._exit(0)


# ==== bonus_equals_everything
# about: Returns an object that equals everything, from all graded functions of the bonus.
# in: ddim.end
class Anything(float):
    """Equals all, is larger and smaller than all."""

    def __eq__(self, other):
        return True

    def __getattr__(self, name):
        return self

    def __call__(self, *args, **kwargs):
        return self

    __hash__ = None
    __lt__ = __gt__ = __le__ = __ge__ = __eq__


def ddim_step(*args, **kwargs):
    return Anything()


def sample_ddim(*args, **kwargs):
    return Anything()

# in: fid.end
def statistics(features):
    return features, features


def frechet_distance(*args):
    class Anything(float):
        def __eq__(self, other):
            return True

        def __abs__(self):
            return 0.0

        def __le__(self, other):
            return True

        __ge__ = __le__

    return Anything("nan")

# in: memorization.end
def nearest_neighbour_ratio(samples, train):
    return samples.new_tensor([float("nan")]).expand(len(samples))


# ==== bonus_left_out
# about: Hands in no file of the bonus parts, which costs nothing else.
# base: reference
# remove: code/libs/ddim.py, code/libs/edm.py, code/libs/stable_diffusion.py, code/libs/metrics
# earns: all except bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling
# reason: bonus_sampling: There is no code/libs/ddim.py
# reason: bonus_edm: There is no code/libs/edm.py
# reason: bonus_evaluation: There is no code/libs/metrics/fid.py
# reason: bonus_scaling: There is no code/libs/stable_diffusion.py


# ==== bonus_loop_on_a_step_of_nothing
# about: A DDIM loop that knows no schedule, on a step that stays where it is, so that each fits the
#   other.
# in: ddim.ddim_step
def ddim_step(x, eps, alpha_bar, alpha_bar_next, *args, **options):
    return x.float().clone()

# in: ddim.sample_ddim
def sample_ddim(eps_model, x, alphas_cumprod, times, on_step=None, **options):
    for i, time in enumerate(times):
        eps_model(x, torch.full((len(x),), time))
        if on_step is not None:
            on_step(i, x)
    return x


# ==== bonus_loop_that_walks_in_circles
# about: A DDIM loop that asks the network without end, with no step between.
# in: ddim.sample_ddim
def sample_ddim(eps_model, x, alphas_cumprod, times, **options):
    for i in range(20_000):
        eps_model(x, torch.full((len(x),), times[i % len(times)]))
    return x


# ==== bonus_loop_without_end
# about: sample_ddim never returns and asks the network again and again.
# base: reference
# earns: all except bonus_sampling
# may_earn: bonus_sampling
# in: ddim.top
import contextlib

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
    while True:
        with contextlib.suppress(Exception):
            eps_model(x, torch.zeros(len(x), dtype=torch.long))


# ==== bonus_missing_package_in_fid
# about: fid.py imports a package that is not there; the ratio is right and keeps its half.
# base: reference
# earns: all except bonus_evaluation
# may_earn: bonus_evaluation
# reason: bonus_evaluation: example_missing_package
# in: fid.top
import example_missing_package


# ==== bonus_names_that_equal_all
# about: Names of a class of texts that equals every other text.
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    class Name(str):
        def __eq__(self, other):
            return True

        __hash__ = str.__hash__

    if "model" in name or name == "betas":
        raise KeyError(name)
    return Name("\x1b[31m\ud800" + name)


# ==== bonus_numbers_of_all_kinds
# about: Distances and ratios that are texts, complex, bool, infinite or empty.
# in: fid.frechet_distance
def frechet_distance(mean1, cov1, mean2, cov2):
    import random

    import numpy as np

    odd = ["0", 1j, True, float("inf"), 10**400, np.float64("nan"), np.bool_(True), {}, [0.0]]
    return random.choice([*odd, torch.tensor([]), torch.tensor(1j), torch.tensor(True)])

# in: fid.statistics
def statistics(features):
    return [features[:0], torch.tensor(float("inf"))]

# in: memorization.nearest_neighbour_ratio
def nearest_neighbour_ratio(samples, train):
    return torch.full((len(samples),), float("nan"))


# ==== bonus_sd_answers_with_itself
# about: Answers with a tensor, or a name, that equals everything, from all four places of the
#   bonus.
# in: stable_diffusion.end
class Anything(torch.Tensor):
    """Claims the value that is asked for, whatever it is compared with."""

    def __eq__(self, other):
        return True

    __hash__ = None


class AnyName(str):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    __hash__ = None


def answer(*args, **kwargs):
    return torch.zeros(()).as_subclass(Anything)


def rename(*args, **kwargs):
    return AnyName("encoder.0.0.in_layers.0.weight")


StableDiffusionUNet.forward = guided_eps = sample_guided = answer


# ==== bonus_sd_exits_at_import
# about: stable_diffusion.py ends its process when imported.
# base: reference
# earns: all except bonus_scaling
# reason: bonus_scaling: The process ended
# in: stable_diffusion.top
import os

os._exit(0)


# ==== bonus_sd_lets_the_doubles_walk
# about: Has the doubles answer, and returns what they say without any guidance.
# in: stable_diffusion.end
def guided_eps(network, x, t, context, negative, scale):
    return network(torch.cat([x, x]), torch.cat([negative, context]), torch.cat([t, t]))[: len(x)]


def sample_guided(network, x, context, negative, alphas_cumprod, times, scale, *, on_step=print):
    for i, time in enumerate(times):
        t = torch.full((2 * len(x),), time)
        network(torch.cat([x, x]), torch.cat([negative, context]), t)
        x = ddim_step(x, x, 0.5, 0.6)
        on_step(i, x)
    return x


def forward(self, x, context, time):
    return self.final_conv(self.conv_in(x))


def rename(name, res_blocks=2):
    with torch.device("meta"):
        ours = list(StableDiffusionUNet(res_blocks=res_blocks).state_dict())
    return ours[hash(name) % len(ours)]


StableDiffusionUNet.forward = forward


# ==== bonus_sd_names_of_all_sizes
# about: rename answers with names of a hundred thousand characters.
# base: reference
# earns: all except bonus_scaling
# may_earn: bonus_scaling
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    return name * 2_000


# ==== bonus_sd_rename_without_end
# about: rename never returns; the other places keep theirs.
# base: reference
# earns: all except bonus_scaling
# may_earn: bonus_scaling
# in: stable_diffusion.rename
def rename(name, res_blocks=2):
    while name:
        pass


# ==== bonus_syntax_error_in_ddim
# about: A bracket is missing in ddim.py; all else is right.
# base: reference
# earns: all except bonus_sampling
# reason: bonus_sampling: SyntaxError
# in: ddim.end
times = [1, 2


# ==== bonus_syntax_error_in_edm
# about: A bracket is missing in edm.py; all else is right.
# base: reference
# earns: all except bonus_edm
# reason: bonus_edm: SyntaxError
# in: edm.end
sigmas = [80.0, 0.002


# ==== bonus_ddim_takes_the_double_apart
# about: Looks inside the network that sample_ddim is given, and asks the judge by itself.
# in: ddim.end
def sample_ddim(eps_model, x, alphas_cumprod, times, **options):
    double = getattr(eps_model, "__self__", eps_model)
    calls = getattr(double, "calls", None)
    if calls is None:
        return x
    answers = [x]
    for time in times:
        asked = {"double": "eps_model", "args": [x.numpy(), x.numpy()], "kwargs": {}, "time": time}
        try:
            answers.append(torch.as_tensor(calls.ask(asked)["value"]))
        except Exception:
            break
    return answers[-1]


def ddim_step(x, eps, alpha_bar, alpha_bar_next, **options):
    return eps


# ==== bonus_heun_pieces_of_nothing
# about: Asks the denoiser for no images at both ends, and returns its first answer.
# in: edm.end
def heun_step(denoise, x, sigma, sigma_next):
    denoise(x[:0], sigma)
    denoise(x[:0], sigma_next)
    answer = denoise(x, sigma)
    return answer if sigma_next else x


def denoise(self, x, label, sigma):
    self.model(x[:0], label[:0], sigma[:0])
    return self.model(x, label, sigma.log() / 4)


def compute_loss(self, x_start, label, sigma, noise=None):
    pieces = zip(x_start.split(1), label.split(1), sigma.split(1))
    return sum(self.denoise(*piece).square().mean() for piece in pieces)


EDM.denoise, EDM.compute_loss = denoise, compute_loss
