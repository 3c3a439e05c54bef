"""Autoencoders of our own, the first stage of latent diffusion."""
