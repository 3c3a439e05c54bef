build = DDPM.__init__


def __init__(self, config, *args, **kwargs):
    build(self, *args, **kwargs)
    self.config = config


DDPM.__init__ = __init__
