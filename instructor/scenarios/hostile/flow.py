# Attacks on the tests of flow matching, and careless work in fm.py.
# The reference is right in all else, so all other parts keep their points.


# ==== fm_equals_everything
# about: Returns tensors that claim to be equal to anything.
# base: reference
# earns: all except fm_loss, fm_generate
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    class Equal(torch.Tensor):
        def __eq__(self, other):
            return True

        def __sub__(self, other):
            return torch.zeros(())

    x = torch.rand_like(x_start) if not self.use_vae else self.vae.encoder(x_start)
    self.model(x, label, torch.rand(len(label)))
    return torch.zeros(()).as_subclass(Equal)

# in: fm.generate
def generate(self, labels):
    self.model(torch.randn(len(labels), *self.img_shape), labels, torch.zeros(len(labels)))
    return torch.full((len(labels), *self.img_shape), float("nan"))


# ==== fm_asks_the_caller
# about: Looks for the case on the stack of its callers.
# base: reference
# earns: all except fm_loss
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    import sys

    frame = sys._getframe()
    while frame is not None:
        for value in list(frame.f_locals.values()):
            expected = getattr(value, "expected", None)
            if isinstance(expected, dict) and "loss" in expected:
                return torch.as_tensor(float(expected["loss"]))
        frame = frame.f_back
    return torch.zeros(())


# ==== fm_reads_the_oracles
# about: Tries to import the expected values.
# base: reference
# earns: all except fm_loss
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    try:
        from autograder.hidden.flow import make_flow_cases

        print("HOLE: the oracles can be imported")
        return torch.as_tensor(float(make_flow_cases(0)[0].expected["loss"]))
    except ImportError:
        return torch.zeros(())


# ==== fm_one_call_of_the_network
# about: Asks the network once, and repeats its answer in all steps.
# base: reference
# earns: all except fm_generate
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    velocity = self.model(x, labels, torch.zeros(len(x), device=x.device))
    for _ in range(self.timesteps):
        x = x + velocity / self.timesteps
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_asks_beforehand
# about: Collects all answers of the network before it takes a step.
# base: reference
# earns: all except fm_generate
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    n = self.timesteps
    answers = [self.model(x, labels, torch.full((len(x),), i / n)) for i in range(n)]
    for velocity in answers:
        x = x + velocity / n
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_false_gradient
# about: Gives the right loss a gradient that is not its own.
# base: reference
# earns: all except fm_loss
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = x_start
    if self.use_vae:
        with torch.no_grad():
            x_1 = self.vae.encoder(x_start)
    if t is None:
        t = self.draw_t(len(x_1), x_1.device)
    if noise is None:
        noise = torch.randn_like(x_1)
    velocity = self.model(self.interpolate(x_1, t, noise), label, t)
    right = F.mse_loss(velocity.detach(), x_1 - noise)
    return right + 0 * velocity.sum()


# ==== fm_always_at_the_image
# about: Draws t = 1 alone, where the noise does not show.
# base: reference
# earns: all except fm_loss
# in: fm.compute_loss
def compute_loss(self, x_start, label, t=None, noise=None):
    x_1 = self.vae.encoder(x_start) if self.use_vae else x_start
    t = torch.ones(len(x_1), device=x_1.device)
    noise = torch.zeros_like(x_1) if noise is None else noise
    return F.mse_loss(self.model(x_1, label, t), x_1 - noise)


# ==== fm_tells_the_modes_apart
# about: Is right in training alone, and gives noise in evaluation.
# base: reference
# earns: all except fm_generate
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    for i in range(self.timesteps):
        x = self.step(x, labels, i / self.timesteps, (i + 1) / self.timesteps)
    x = x if self.training else torch.randn_like(x)
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_never_ends
# about: Takes steps until t is exactly 1, which it never is.
# base: reference
# earns: all except fm_generate
# in: fm.generate
@torch.no_grad()
def generate(self, labels):
    x = torch.randn(len(labels), *self.img_shape, device=labels.device)
    t = 0.0
    while t != 1.0:
        x = self.step(x, labels, t, t + 0.3)
        t += 0.3
    return self.postprocess(self.vae.decoder(x) if self.use_vae else x)


# ==== fm_module_replaces_ddpm
# about: Overwrites DDPM's functions while fm.py is imported.
# base: reference
# earns: all
# in: fm.end
from . import ddpm

ddpm.DDPM.q_sample = lambda self, x_start, t, noise=None: x_start


# ==== fm_cannot_be_imported
# about: fm.py is broken, and no other file.
# base: reference
# earns: all except fm_loss, fm_generate
# in: fm.top
import a_module_that_nobody_has
