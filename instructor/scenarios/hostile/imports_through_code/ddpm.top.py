from code.libs.unet import UNet
