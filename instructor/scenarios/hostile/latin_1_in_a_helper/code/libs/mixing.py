# Beiträge: Mischung von Bild und Rauschen
def mix(ddpm, x_start, t, noise):
    signal_rate = ddpm._extract(ddpm.sqrt_alphas_cumprod, t, x_start.shape)
    noise_rate = ddpm._extract(ddpm.sqrt_one_minus_alphas_cumprod, t, x_start.shape)
    return signal_rate * x_start + noise_rate * noise
