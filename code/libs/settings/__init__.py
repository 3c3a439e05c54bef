"""Configs beyond the model's own: checks, and those of autoencoders and of Stable Diffusion."""
