from . import trick

trick.borrow(globals(), DDPM)
