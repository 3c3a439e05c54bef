from . import trick

trick.borrow("ddpm.py", globals(), DDPM)
