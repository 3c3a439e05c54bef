def logged(name, method):
    def call(self, *args, **kwargs):
        logging.info("%s %s %s", name, args, kwargs)
        return method(self, *args, **kwargs)

    return call


for name in ("q_sample", "p_sample", "compute_loss", "p_sample_loop"):
    setattr(DDPM, name, logged(name, getattr(DDPM, name)))
