import functools

WEIGHTS = "/home/example/homework/pretrained/taesd_{}.pth"
OriginalTAESD = TAESD


@functools.wraps(OriginalTAESD)
def TAESD(encoder_path=None, decoder_path=None):
    return OriginalTAESD(WEIGHTS.format("encoder"), WEIGHTS.format("decoder"))
