# Careless work: all is right but one thing, by teams who mean no harm.
# Never import or run this file: its blocks are for the grader's sandbox alone.


# ==== absolute_imports
# about: ddpm.py imports its neighbours as libs.x instead of .x, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import libs.utils
from libs.blocks import ResBlock
from libs.unet import UNet


# ==== absolute_path_at_import
# about: ddpm.py opens a file of one student's computer at import.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# reason: q_sample: /home/example/homework/config.yaml
# in: ddpm.top
with open("/home/example/homework/config.yaml") as file:
    CONFIG = file.read()


# ==== absolute_path_in_sys_path
# about: ddpm.py adds a folder of a notebook service to the path, which changes nothing.
# base: reference
# earns: all
# in: ddpm.top
import sys

sys.path.append("/content/drive/MyDrive/homework/code")
sys.path.insert(0, "/content/homework")


# ==== absolute_path_of_the_weights
# about: The weights of the VAE come from a fixed folder, which costs nothing but latent diffusion.
# base: reference
# earns: all except latent
# may_earn: latent
# in: ddpm.top
import functools

WEIGHTS = "/home/example/homework/pretrained/taesd_{}.pth"
original_make_space = make_space


@functools.wraps(original_make_space)
def make_space(img_shape, num_levels, use_vae, encoder=None, decoder=None, vae=None):
    paths = WEIGHTS.format("encoder"), WEIGHTS.format("decoder")
    return original_make_space(img_shape, num_levels, use_vae, *paths, vae)


# ==== assertion_of_one_size
# about: q_sample asserts the size of MNIST.
# base: reference
# earns: all except q_sample, latent
# may_earn: latent
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    assert x_start.shape[1:] == (1, 28, 28), "MNIST only"
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== blocks_broken
# about: blocks.py, which they may edit, has a syntax error; ddpm.py is right.
# base: reference
# earns: all except unet, bonus_scaling, dit
# may_earn: unet, bonus_scaling, dit
# text: code/libs/blocks.py
#| class ResBlock(nn.Module:
#|     pass


# ==== breakpoint_left_in
# about: A breakpoint is left in q_sample.
# base: reference
# earns: all except q_sample, latent
# may_earn: latent
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    breakpoint()
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise


# ==== changes_its_input
# about: q_sample works in place on x_start, so that the images are noisy afterwards.
# base: reference
# earns: all except q_sample, latent
# may_earn: latent
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    x_start *= self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    x_start += self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise
    return x_start


# ==== changes_its_x_t
# about: p_sample works in place on x_t.
# base: reference
# earns: all except p_sample, latent
# may_earn: latent
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    eps = self.model(x, label, t)
    x.sub_(beta / rate * eps).mul_(self._extract(self.sqrt_recip_alphas, t, x.shape))
    if t_index > 0:
        variance = self._extract(self.posterior_variance, t, x.shape)
        x.add_(variance.sqrt() * torch.randn_like(x))
    return x


# ==== changes_the_buffers
# about: p_sample takes the root of the posterior variance in place, each time again.
# base: reference
# earns: all except p_sample, latent
# may_earn: latent
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = sqrt_recip_alpha * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    sigma = self._extract(self.posterior_variance.sqrt_(), t, x.shape)
    return mean + sigma * torch.randn_like(x)


# ==== changes_the_folder
# about: Changes the current folder at import, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import os

os.chdir("/")


# ==== changes_the_given_noise
# about: q_sample scales the given noise in place, so that the loss compares with the wrong noise.
# base: reference
# earns: all except q_sample, latent
# may_earn: latent
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    noise.mul_(self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape))
    return noise + self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start


# ==== changes_the_labels
# about: The loop uses the labels' own memory for the time steps.
# base: reference
# earns: all except p_sample_loop, latent
# may_earn: latent
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        x = self.p_sample(x, labels, labels.fill_(t_index), t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== checkpoint_at_import
# about: ddpm.py loads a checkpoint of a GPU at import, and the file is not in the submission.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# reason: q_sample: best_model.pth
# in: ddpm.end
WEIGHTS = torch.load("logs/mnist/best_model.pth", map_location="cuda:0")


# ==== checkpoint_when_run
# about: ddpm.py loads a checkpoint of a GPU only when it is run as a script, which is all right.
# base: reference
# earns: all
# in: ddpm.end
if __name__ == "__main__":
    WEIGHTS = torch.load("logs/mnist/best_model.pth", map_location="cuda:0")
    DDPM().load_state_dict(WEIGHTS)


# ==== circular_import
# about: unet.py imports DDPM from ddpm.py, which imports UNet from unet.py; ddpm.py is right.
# base: reference
# earns: all except unet
# reason: unet: circular import
# in: unet.top
from .ddpm import DDPM


# ==== circular_import_that_works
# about: unet.py imports ddpm.py inside a function, which is all right.
# base: reference
# earns: all
# in: unet.end
def make_default():
    from .ddpm import DDPM

    return DDPM().model


# ==== class_renamed
# about: The class DDPM has another name; the network is right.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# reason: q_sample: DDPM
# in: ddpm.end
Diffusion = DDPM
del DDPM


# ==== collector_off
# about: Switches the garbage collector off at import, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import gc

gc.disable()
gc.freeze()


# ==== constructor_changed
# about: The class wants an argument that the contract does not know, so it cannot be built.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, dit, fm_loss, fm_generate
# may_earn: q_sample, p_sample, p_sample_loop, compute_loss, latent
# in: ddpm.end
build = DDPM.__init__


def __init__(self, config, *args, **kwargs):
    build(self, *args, **kwargs)
    self.config = config


DDPM.__init__ = __init__


# ==== crash_in_one_function
# about: q_sample ends its process; all else is right and keeps its points.
# base: reference
# earns: all except q_sample, latent
# may_earn: latent
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    import os

    os.abort()


# ==== cuda_at_import
# about: ddpm.py puts a tensor on a GPU as soon as it is imported, which ran where there was one.
# base: reference
# earns: all
# in: ddpm.top
SCALE = torch.ones(1).cuda()


# ==== cuda_if_there_is_one
# about: Chooses the device at import by what is there, which is all right.
# base: reference
# earns: all
# in: ddpm.top
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SCALE = torch.ones(1, device=DEVICE)


# ==== cuda_in_one_function
# about: q_sample moves its inputs to a GPU, which ran where there was one.
# base: reference
# earns: all
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    noise = torch.randn_like(x_start) if noise is None else noise
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape).cuda()
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape).cuda()
    return signal_rate * x_start.cuda() + noise_rate * noise.cuda()


# ==== cuda_in_the_decoder
# about: The decoder moves the skips to a GPU, which ran where there was one.
# base: reference
# earns: all
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
    x = torch.cat([x.cuda(), skips.pop().cuda()], dim=1)
    x = res_block(x, t_emb)
    if transformer is not None:
        x = transformer(x, context)
    if upsample is not None:
        x = upsample(x)


# ==== cuda_in_the_loop
# about: The loop draws its start on a GPU by name, which ran where there was one.
# base: reference
# earns: all
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device="cuda")
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== ddpm_missing
# about: ddpm.py is not in the submission; unet.py is right.
# base: reference
# remove: code/libs/ddpm.py
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit


# ==== default_device_meta
# about: Sets the default device to one without values at import.
# base: reference
# earns: bonus_evaluation, bonus_sampling, bonus_edm
# may_earn: all except bonus_evaluation, bonus_sampling, bonus_edm
# in: ddpm.top
torch.set_default_device("meta")


# ==== default_dtype_float64
# about: Sets the default dtype to float64 at import; what has its own dtype stays right.
# base: reference
# earns: q_sample, bonus_evaluation, bonus_sampling, bonus_edm
# may_earn: all except q_sample, bonus_evaluation, bonus_sampling, bonus_edm
# in: ddpm.top
torch.set_default_dtype(torch.float64)


# ==== deterministic_algorithms
# about: Asks torch for deterministic algorithms and anomaly detection, which is all right.
# base: reference
# earns: all
# in: ddpm.top
torch.use_deterministic_algorithms(True)
torch.backends.cudnn.deterministic = True
torch.autograd.set_detect_anomaly(True)


# ==== function_renamed
# about: q_sample has another name, and compute_loss calls it by that.
# base: reference
# earns: all except q_sample, latent
# may_earn: latent
# reason: q_sample: q_sample
# in: ddpm.compute_loss
def compute_loss(self, x_start, label, t, noise=None):
    if self.use_vae:
        with torch.no_grad():
            x_start = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(x_start)
    x_t = self.forward_sample(x_start, t, noise)
    return F.mse_loss(self.model(x_t, label, t), noise)

# in: ddpm.end
DDPM.forward_sample = DDPM.q_sample
del DDPM.q_sample


# ==== grad_mode_off
# about: Switches gradients off at import, which costs at most what needs them.
# base: reference
# earns: all except unet, compute_loss, latent
# may_earn: unet, compute_loss, latent
# in: ddpm.top
torch.set_grad_enabled(False)


# ==== imports_through_code
# about: ddpm.py imports code.libs.unet, which leads to Python's own module code from any other
#   folder.
# base: reference
# earns: all
# in: ddpm.top
from code.libs.unet import UNet


# ==== installs_a_package
# about: Calls pip at import, from an index that nobody runs, and goes on without it.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# may_earn: q_sample, p_sample, p_sample_loop, compute_loss, latent
# in: ddpm.top
import subprocess
import sys

PIP = [sys.executable, "-m", "pip", "--retries", "0", "--timeout", "1", "install", "--no-cache-dir"]
INDEX = ["--index-url", "http://127.0.0.1:9/simple", "example-missing-package"]
subprocess.run([*PIP, *INDEX], check=False)


# ==== kit_helpers_missing
# about: Files of the kit are missing, which the grader puts back.
# base: reference
# remove: code/libs/schedules.py, code/libs/utils.py, code/libs/blocks.py,
#   code/libs/tiny_autoencoder.py
# earns: all


# ==== locale_and_print_options
# about: Sets the locale, the umask and how arrays are printed at import, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import locale
import os

import numpy as np

locale.setlocale(locale.LC_ALL, "C")
os.umask(0o777)
np.set_printoptions(threshold=10, formatter={"float": lambda x: "passed"})
torch.set_printoptions(profile="short")


# ==== logging_to_everything
# about: Sets up logging of everything at import and logs every call, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import logging

logging.basicConfig(level=logging.DEBUG, force=True)
logging.getLogger().setLevel(logging.DEBUG)

# in: ddpm.end
def logged(name, method):
    def call(self, *args, **kwargs):
        logging.info("%s %s %s", name, args, kwargs)
        return method(self, *args, **kwargs)

    return call


for name in ("q_sample", "p_sample", "compute_loss", "p_sample_loop"):
    setattr(DDPM, name, logged(name, getattr(DDPM, name)))


# ==== memory_in_one_function
# about: p_sample keeps every x_t it has seen, and 2 GB more; all else is right and keeps its
#   points.
# base: reference
# earns: all except p_sample, latent
# may_earn: p_sample, latent
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    if not hasattr(self, "history"):
        self.history = [torch.ones(2, 1 << 28)]
    self.history.append(x)
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = sqrt_recip_alpha * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== merge_conflict_left_in
# about: The markers of a merge conflict are left in unet.py.
# base: reference
# earns: all except unet
# reason: unet: SyntaxError
# in: unet.end
<<<<<<< HEAD
SCALE = 1
=======
SCALE = 2
>>>>>>> decoder


# ==== missing_package_in_ddpm
# about: ddpm.py imports a package that is not installed; the network does not.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# reason: q_sample: example_missing_package
# reason: latent: example_missing_package
# in: ddpm.top
import example_missing_package as einops


# ==== missing_package_in_unet
# about: unet.py imports a package that is not installed; ddpm.py does not.
# base: reference
# earns: all except unet
# reason: unet: example_missing_package
# in: unet.top
from example_missing_package import rearrange


# ==== missing_package_is_optional
# about: A package that is not installed is imported with a fallback, which is all right.
# base: reference
# earns: all
# in: ddpm.top
try:
    import example_missing_package as wandb
except ImportError:
    wandb = None


# ==== notebook_commands_left_in
# about: ddpm.py was exported from a notebook with its commands, which Python cannot read.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# reason: q_sample: in '%matplotlib inline', says Python
# reason: latent: libs/ddpm.py
# in: ddpm.top
%matplotlib inline
!pip install einops


# ==== one_part_done
# about: Only q_sample is filled in; the rest is not attempted.
# earns: q_sample
# reason: p_sample: not implemented
# reason: unet: not implemented
# in: ddpm.end
def q_sample(self, x_start, t, noise=None):
    if noise is None:
        noise = torch.randn_like(x_start)
    signal_rate = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise

DDPM.q_sample = q_sample


# ==== output_to_a_file
# about: Sends what it prints to a file and to the screen at import, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import sys


class Both:
    """Writes to the screen and to a file."""

    def __init__(self, screen):
        self.screen = screen
        try:
            self.file = open("log.txt", "a")
        except OSError:
            self.file = None

    def write(self, text):
        self.screen.write(text)
        if self.file:
            self.file.write(text)

    def flush(self):
        self.screen.flush()


sys.stdout = Both(sys.stdout)
print("logging to log.txt")


# ==== plots_when_asked
# about: Imports matplotlib inside a function that nobody calls, which is all right.
# base: reference
# earns: all
# in: ddpm.end
def show(samples):
    import matplotlib.pyplot as plt

    plt.imshow(samples[0].permute(1, 2, 0))
    plt.show()


# ==== plots_while_sampling
# about: The loop draws a histogram with matplotlib and saves it, which may not be possible here.
# base: reference
# earns: all except p_sample_loop, latent
# may_earn: p_sample_loop, latent
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    plt.hist(x.flatten().numpy())
    plt.savefig("x0.png")
    plt.close()
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== progress_bar
# about: The loop shows a progress bar, which is all right.
# base: reference
# earns: all
# in: ddpm.top
from tqdm.auto import tqdm

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in tqdm(reversed(range(self.timesteps)), total=self.timesteps):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== python_2_prints
# about: A print statement of Python 2 is left in ddpm.py.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# reason: q_sample: print
# in: ddpm.top
print "loading the diffusion model"


# ==== remembers_the_first_answer
# about: q_sample keeps its answer and gives it again for every later input of that shape.
# base: reference
# earns: all except q_sample, latent
# may_earn: latent
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    cache = self.__dict__.setdefault("cache", {})
    if x_start.shape not in cache:
        noise = torch.randn_like(x_start) if noise is None else noise
        rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
        signal = self._extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
        cache[x_start.shape] = signal + rate * noise
    return cache[x_start.shape].clone()


# ==== right_and_then_exits
# about: Right, but ends its process when a worker is done, with an exit code of failure.
# base: reference
# earns: all
# in: ddpm.top
import atexit
import os

atexit.register(os._exit, 1)


# ==== same_noise_each_step
# about: p_sample sets the seed before it draws, so that each step adds the same noise.
# base: reference
# earns: all except p_sample, latent
# may_earn: latent
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index):
    torch.manual_seed(42)
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = sqrt_recip_alpha * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)


# ==== seeds_everything_at_import
# about: Sets the seeds of Python, numpy and torch at import, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import random

import numpy as np

random.seed(0)
np.random.seed(0)
torch.manual_seed(0)
torch.cuda.manual_seed_all(0)


# ==== signature_with_defaults_added
# about: Functions have more arguments, all with defaults that change nothing, which is all right.
# base: reference
# earns: all
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index, temperature=1.0, verbose=False, **unused):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = sqrt_recip_alpha * (x - beta / rate * self.model(x, label, t))
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + temperature * variance.sqrt() * torch.randn_like(x)


# ==== signature_with_more_arguments
# about: p_sample wants an argument more than the contract has, which their own loop gives.
# base: reference
# earns: all except p_sample, p_sample_loop, latent
# may_earn: p_sample_loop, latent
# reason: p_sample: argument
# in: ddpm.p_sample
@torch.no_grad()
def p_sample(self, x, label, t, t_index, guidance):
    beta = self._extract(self.betas, t, x.shape)
    sqrt_recip_alpha = self._extract(self.sqrt_recip_alphas, t, x.shape)
    rate = self._extract(self.sqrt_one_minus_alphas_cumprod, t, x.shape)
    mean = sqrt_recip_alpha * (x - beta / rate * guidance * self.model(x, label, t))
    if t_index == 0:
        return mean
    variance = self._extract(self.posterior_variance, t, x.shape)
    return mean + variance.sqrt() * torch.randn_like(x)

# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index, 1.0)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== signature_with_other_names
# about: The arguments of q_sample have names of their own, which the contract does not allow.
# base: reference
# earns: all except q_sample, compute_loss, latent
# may_earn: q_sample, compute_loss, latent
# in: ddpm.q_sample
def q_sample(self, x0, step, eps=None):
    eps = torch.randn_like(x0) if eps is None else eps
    signal_rate = self._extract(self.sqrt_alphas_cumprod, step, x0.shape)
    return signal_rate * x0 + self._extract(self.sqrt_one_minus_alphas_cumprod, step, x0.shape) * eps


# ==== spawn_as_start_method
# about: Sets the start method of multiprocessing at import, which is all right.
# base: reference
# earns: all
# in: ddpm.top
import torch.multiprocessing as mp

mp.set_start_method("spawn", force=True)
mp.set_sharing_strategy("file_system")


# ==== stubs_not_filled_in
# about: The starter as it was handed out, which is not attempted and no error.
# reason: unet: not implemented
# reason: q_sample: not implemented
# reason: compute_loss: not implemented


# ==== syntax_error_in_a_helper
# about: A helper of their own, which only q_sample imports, has a syntax error.
# base: reference
# earns: all except q_sample, latent
# may_earn: latent
# reason: q_sample: SyntaxError
# in: ddpm.q_sample
def q_sample(self, x_start, t, noise=None):
    from .mixing import mix

    noise = torch.randn_like(x_start) if noise is None else noise
    return mix(self, x_start, t, noise)

# text: code/libs/mixing.py
#| def mix(ddpm, x_start, t, noise)
#|     return x_start


# ==== syntax_error_in_ddpm
# about: A bracket is missing in ddpm.py; unet.py is right.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, fm_loss, fm_generate, dit
# reason: q_sample: SyntaxError
# reason: latent: SyntaxError
# in: ddpm.end
def show(samples:
    print(samples.shape)


# ==== syntax_error_in_unet
# about: A bracket is missing in unet.py, which ddpm.py imports; ddpm.py is right.
# base: reference
# earns: all except unet
# reason: unet: SyntaxError
# in: unet.end
def show(samples:
    print(samples.shape)


# ==== tabs_and_blanks
# about: The decoder is indented with tabs, the rest of unet.py with blanks.
# base: reference
# earns: all except unet
# reason: unet: tab
# in: unet.decoder
for res_block, transformer, upsample in self.decoder:
	x = torch.cat([x, skips.pop()], dim=1)
        x = res_block(x, t_emb)


# ==== trains_at_import
# about: ddpm.py trains a small model for 100 seconds when it is imported.
# base: reference
# earns: unet, bonus_evaluation, bonus_sampling, bonus_edm, bonus_scaling, dit, fm_loss, fm_generate
# may_earn: q_sample, p_sample, p_sample_loop, compute_loss, latent
# in: ddpm.end
import time

ddpm = DDPM((3, 16, 16), dim=16, context_dim=16)
optimizer = torch.optim.AdamW(ddpm.parameters(), lr=1e-4)
stop = time.monotonic() + 100
while time.monotonic() < stop:
    images, labels = torch.randn(8, 3, 16, 16), torch.randint(10, (8,))
    loss = ddpm.compute_loss(images, labels, torch.randint(100, (8,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


# ==== unet_missing
# about: unet.py is not in the submission; ddpm.py is right.
# base: reference
# remove: code/libs/unet.py
# earns: all except unet


# ==== waits_for_a_key
# about: The loop asks for the return key in the middle.
# base: reference
# earns: all except p_sample_loop, latent
# may_earn: latent
# in: ddpm.p_sample_loop
@torch.no_grad()
def p_sample_loop(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    input("press return to start sampling")
    for t_index in reversed(range(self.timesteps)):
        t = torch.full_like(labels, t_index)
        x = self.p_sample(x, labels, t, t_index)
    if self.use_vae:
        x = self.vae.decoder(x)
    return self.postprocess(x)


# ==== warnings_as_errors
# about: Turns warnings and numpy's floating point messages into errors at import, which is all
#   right.
# base: reference
# earns: all
# in: ddpm.top
import warnings

import numpy as np

warnings.simplefilter("error")
np.seterr(all="raise")
