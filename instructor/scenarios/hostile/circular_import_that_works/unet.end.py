def make_default():
    from .ddpm import DDPM

    return DDPM().model
