def q_sample(self, x_start, t, noise=None):
    import os

    os.abort()
