import functools

WEIGHTS = "/home/example/homework/pretrained/taesd_{}.pth"
original_make_space = make_space


@functools.wraps(original_make_space)
def make_space(img_shape, num_levels, use_vae, encoder=None, decoder=None, vae=None):
    paths = WEIGHTS.format("encoder"), WEIGHTS.format("decoder")
    return original_make_space(img_shape, num_levels, use_vae, *paths, vae)
