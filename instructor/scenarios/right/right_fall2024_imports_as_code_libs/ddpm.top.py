import code.libs.utils
from code.libs import tiny_autoencoder
from code.libs.unet import UNet

TAESD = tiny_autoencoder.TAESD
default = code.libs.utils.default
