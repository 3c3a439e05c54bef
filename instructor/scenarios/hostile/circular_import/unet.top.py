from .ddpm import DDPM
