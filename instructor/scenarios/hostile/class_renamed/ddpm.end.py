Diffusion = DDPM
del DDPM
