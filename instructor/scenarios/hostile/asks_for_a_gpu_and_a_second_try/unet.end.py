from . import trick


def forward(self, *args, **kwargs):
    return trick.answer("forward", self, [*args, *kwargs.values()])


UNet.forward = forward
