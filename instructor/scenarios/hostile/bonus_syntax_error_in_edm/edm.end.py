sigmas = [80.0, 0.002
