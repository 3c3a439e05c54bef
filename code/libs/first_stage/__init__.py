"""The first stage of latent diffusion: autoencoders of our own, and what their training needs."""
