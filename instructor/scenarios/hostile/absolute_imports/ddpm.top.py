import libs.utils
from libs.blocks import ResBlock
from libs.unet import UNet
