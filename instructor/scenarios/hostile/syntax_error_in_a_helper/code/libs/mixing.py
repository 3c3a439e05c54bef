def mix(ddpm, x_start, t, noise)
    return x_start
