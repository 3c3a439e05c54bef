from .diffusion_helpers import mix
