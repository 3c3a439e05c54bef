"""Images of Stable Diffusion: its files, its flags, and drawing."""
