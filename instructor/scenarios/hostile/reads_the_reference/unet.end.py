from . import trick

trick.borrow("unet.py", globals(), UNet)
