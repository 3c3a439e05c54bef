# Wrong implementations that must lose the points of bonus_edm; ../README.md says how to add one.


# ==== edm_denoise_answer_alone
# about: Returns the network's answer.
# fails: bonus_edm
# hint: edm_not_mixed
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return self.model(c_in * x, label, c_noise)


# ==== edm_denoise_one_rate_beyond_eight
# about: Scales all images from the ninth on as the first.
# fails: bonus_edm
# hint: edm_c_in
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    c_in[8:] = c_in[0]
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_as_ddpm
# about: Takes the answer for the noise, as DDPM does.
# fails: bonus_edm
# hint: edm_not_mixed
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return x - sigma * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_c_in_by_sigma
# about: Divides x by sigma for the network.
# fails: bonus_edm
# hint: edm_c_in
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / sigma
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_c_in_inverted
# about: Multiplies by the root that c_in divides by.
# fails: bonus_edm
# hint: edm_c_in
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_c_in_missing
# about: Shows x to the network as it is.
# fails: bonus_edm
# hint: edm_c_in_missing
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(x, label, c_noise)


# ==== edm_denoise_c_in_unrooted
# about: Forgets the root in c_in.
# fails: bonus_edm
# hint: edm_c_in
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2)
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_c_noise_broadcast
# about: Gives the network c_noise in the shape that broadcasts over images.
# fails: bonus_edm
# hint: edm_c_noise_shape
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise[:, None, None, None])


# ==== edm_denoise_c_noise_log10
# about: Takes the logarithm to base 10.
# fails: bonus_edm
# hint: edm_c_noise
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log10() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_c_noise_log1p
# about: Adds 1 before the logarithm.
# fails: bonus_edm
# hint: edm_c_noise
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = torch.log1p(sigma) / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_c_noise_of_square
# about: Takes the logarithm of the variance.
# fails: bonus_edm
# hint: edm_c_noise
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = (sigma**2).log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_c_noise_whole_log
# about: Does not divide the logarithm by 4.
# fails: bonus_edm
# hint: edm_c_noise_not_divided
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log()
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_changes_x
# about: Scales x in place.
# fails: bonus_edm
# hint: modifies_input
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * (x.mul_(c_in) / c_in) + c_out * self.model(x, label, c_noise)


# ==== edm_denoise_clamped
# about: Clamps the result to [-1, 1].
# fails: bonus_edm
# hint: edm_no_mix
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return (c_skip * x + c_out * self.model(c_in * x, label, c_noise)).clamp(-1, 1)


# ==== edm_denoise_constant_on_the_cpu
# about: Writes the factors into zeros on the default device.
# fails: bonus_edm
# hint: made_elsewhere
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    c_skip = torch.zeros(len(x), 1, 1, 1) + c_skip
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_in_half_precision
# about: Rounds images to float16 before it weighs them.
# fails: bonus_edm
# hint: loses_digits
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x.half().float() + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_label_reversed
# about: Gives each image the label of another.
# fails: bonus_edm
# hint: edm_label
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label.flip(0), c_noise)


# ==== edm_denoise_label_zero
# about: Gives the network label 0 for all.
# fails: bonus_edm
# hint: edm_label
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, torch.zeros_like(label), c_noise)


# ==== edm_denoise_largest_batch_of_16
# about: Weighs the images after the 16th like the first one.
# fails: bonus_edm
# hint: edm_c_in
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma = torch.where(torch.arange(len(x), device=x.device) < 16, sigma, sigma[0])
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_leaves_evaluation_on
# about: Puts the network into evaluation mode and leaves it there.
# fails: bonus_edm
# hint: left_in_eval
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    self.model.eval()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_limits_the_levels
# about: Limits the noise levels in place.
# fails: bonus_edm
# hint: modifies_input
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    given = sigma
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    result = c_skip * x + c_out * self.model(c_in * x, label, c_noise)
    given.clamp_(max=1.0)
    return result


# ==== edm_denoise_mean_sigma
# about: Uses the mean of the sigmas for all.
# fails: bonus_edm
# hint: edm_one_sigma
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma.mean(), self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_network_detached
# about: Keeps no gradient of the network.
# fails: bonus_edm
# hint: edm_no_gradient
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise).detach()


# ==== edm_denoise_network_twice
# about: Evaluates the network once more for nothing.
# fails: bonus_edm
# hint: edm_called_often
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    self.model(c_in * x, label, c_noise)
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_no_skip
# about: Leaves x out of the result.
# fails: bonus_edm
# hint: edm_no_skip
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_not_in_evaluation
# about: Leaves the preconditioning out in evaluation mode.
# fails: bonus_edm
# hint: edm_c_in_missing
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    if not self.training:
        return self.model(x, label, c_noise)
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_one_sigma
# about: Uses the first image's sigma for all.
# fails: bonus_edm
# hint: edm_one_sigma
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[0], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_out_missing
# about: Adds the network's answer as it is.
# fails: bonus_edm
# hint: edm_c_out
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + self.model(c_in * x, label, c_noise)


# ==== edm_denoise_out_sigma_unsquared
# about: Forgets a square of sigma in c_out.
# fails: bonus_edm
# hint: edm_sigma_unsquared
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_out_sign
# about: Subtracts the network's answer, as if it were noise.
# fails: bonus_edm
# hint: edm_c_out
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x - c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_out_unrooted
# about: Forgets the root in c_out.
# fails: bonus_edm
# hint: edm_c_out_unrooted
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2)
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_out_without_sigma_data
# about: Leaves sigma_data out of the numerator of c_out.
# fails: bonus_edm
# hint: edm_c_out
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_sigma_as_time
# about: Gives sigma itself to the network.
# fails: bonus_edm
# hint: edm_c_noise_no_log
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_sigma_data_half
# about: Takes 0.5 for sigma_data, as the paper's experiments do.
# fails: bonus_edm
# hint: edm_sigma_data
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], 0.5
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_skip_is_one
# about: Adds x itself.
# fails: bonus_edm
# hint: edm_c_skip
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_skip_of_scaled_x
# about: Scales x by c_in once and uses it in both places.
# fails: bonus_edm
# hint: edm_c_skip
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * (c_in * x) + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_skip_of_sigma
# about: Has sigma in the numerator of c_skip.
# fails: bonus_edm
# hint: edm_c_skip
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_skip_rooted
# about: Takes a root in the denominator of c_skip.
# fails: bonus_edm
# hint: edm_c_skip
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2).sqrt()
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_skip_sigma_unsquared
# about: Forgets a square of sigma in c_skip.
# fails: bonus_edm
# hint: edm_sigma_unsquared
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_swapped
# about: Exchanges c_skip and c_out.
# fails: bonus_edm
# hint: edm_mix_swapped
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_out * x + c_skip * self.model(c_in * x, label, c_noise)


# ==== edm_heun_asks_three_times
# about: Corrects the correction.
# fails: bonus_edm
# hint: edm_heun_calls
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_changes_x
# about: Moves x in place.
# fails: bonus_edm
# hint: modifies_input
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x.copy_(x_next)


# ==== edm_heun_clamps
# about: Clamps the state to [-1, 1].
# fails: bonus_edm
# hint: edm_no_mix
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next.clamp(-1, 1)


# ==== edm_heun_correction_after_euler
# about: Takes the corrected step from where Euler's ended.
# fails: bonus_edm
# hint: edm_heun_from_euler
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x_next + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_correction_unused
# about: Computes the second slope and does not use it.
# fails: bonus_edm
# hint: edm_heun_euler
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * d
    return x_next


# ==== edm_heun_corrects_above_a_level
# about: Does not correct steps that lead below 0.001.
# fails: bonus_edm
# hint: edm_heun_euler
# judge_only: true
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 1e-3:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_corrects_at_zero
# about: Takes the second slope at sigma 0 too.
# fails: bonus_edm
# hint: edm_heun_at_zero
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next >= 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / max(sigma_next, 1e-8)
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_divides_by_zero
# about: Corrects always, and divides by 0 at the end.
# fails: bonus_edm
# hint: edm_heun_at_zero
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if True:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_first_call_at_next
# about: Takes the first slope at the level where the step leads.
# fails: bonus_edm
# hint: edm_heun_start
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma_next or sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_first_slope_whole
# about: Halves the second slope alone.
# fails: bonus_edm
# hint: edm_heun_average
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next / 2)
    return x_next


# ==== edm_heun_image_by_image_from_following
# about: Image by image; the correction starts from where Euler's step has led.
# fails: bonus_edm
# hint: edm_heun_from_euler
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    steps = []
    for image in x.split(1):
        d = (image - denoise(image, sigma)) / sigma
        following = image + (sigma_next - sigma) * d
        if sigma_next > 0:
            d_next = (following - denoise(following, sigma_next)) / sigma_next
            following = following + (sigma_next - sigma) * (d + d_next) / 2
        steps.append(following)
    return torch.cat(steps)


# ==== edm_heun_image_by_image_last_slope_alone
# about: Image by image, with the slope at the step's end alone.
# fails: bonus_edm
# hint: edm_heun_average
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    steps = []
    for image in x.split(1):
        d = (image - denoise(image, sigma)) / sigma
        following = image + (sigma_next - sigma) * d
        if sigma_next > 0:
            d_next = (following - denoise(following, sigma_next)) / sigma_next
            following = image + (sigma_next - sigma) * d_next
        steps.append(following)
    return torch.cat(steps)


# ==== edm_heun_is_euler
# about: Takes Euler's step alone.
# fails: bonus_edm
# hint: edm_heun_euler
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    return x + (sigma_next - sigma) * d


# ==== edm_heun_last_step_writes_into_x
# about: Writes the last image into the state that it was given.
# fails: bonus_edm
# hint: modifies_input
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next if sigma_next > 0 else x.copy_(x_next)


# ==== edm_heun_level_on_the_cpu
# about: Makes a tensor of levels on the default device.
# fails: bonus_edm
# hint: made_elsewhere
# judge_only: true
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    levels = torch.full((len(x), 1, 1, 1), sigma)
    d = (x - denoise(x, sigma)) / levels
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_midpoint
# about: Is the midpoint method.
# fails: bonus_edm
# hint: edm_heun_midpoint
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    middle = (sigma + sigma_next) / 2
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        x_middle = x + (middle - sigma) * d
        d_next = (x_middle - denoise(x_middle, middle)) / middle
        x_next = x + (sigma_next - sigma) * d_next
    return x_next


# ==== edm_heun_ralston_weights
# about: Weighs the slopes by 1/3 and 2/3.
# fails: bonus_edm
# hint: edm_heun_average
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + 2 * d_next) / 3
    return x_next


# ==== edm_heun_returns_the_answer
# about: Returns the second answer of the denoiser.
# fails: bonus_edm
# hint: edm_heun_denoised
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        clean = denoise(x_next, sigma_next)
        x_next = clean
    return x_next


# ==== edm_heun_second_divided_by_sigma
# about: Divides the second slope by the old sigma.
# fails: bonus_edm
# hint: edm_heun_second_divisor
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_second_sigma_old
# about: Asks the denoiser at the old noise level again.
# fails: bonus_edm
# hint: edm_heun_second_sigma
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_second_slope_alone
# about: Goes along the second slope alone.
# fails: bonus_edm
# hint: edm_heun_average
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * d_next
    return x_next


# ==== edm_heun_second_slope_at_x
# about: Takes the second slope at x again.
# fails: bonus_edm
# hint: edm_heun_point
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_second_slope_from_x
# about: Subtracts the second answer from the old x.
# fails: bonus_edm
# hint: edm_heun_second_from_x
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_second_slope_of_the_first_image
# about: Takes the second slope of the first image for all.
# fails: bonus_edm
# hint: edm_no_mix
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next[:1]) / 2
    return x_next


# ==== edm_heun_second_undivided
# about: Does not divide the second slope.
# fails: bonus_edm
# hint: edm_heun_second_divisor
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = x_next - denoise(x_next, sigma_next)
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_slope_as_eps
# about: Takes the answer for noise, as DDPM's network gives it.
# fails: bonus_edm
# hint: edm_heun_slope
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = denoise(x, sigma) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_slope_of_the_answer
# about: Takes the answer for the slope.
# fails: bonus_edm
# hint: edm_heun_slope
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = denoise(x, sigma)
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_slope_reversed
# about: Subtracts x from the denoiser's answer.
# fails: bonus_edm
# hint: edm_heun_direction
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (denoise(x, sigma) - x) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_slope_undivided
# about: Does not divide the first slope.
# fails: bonus_edm
# hint: edm_heun_slope
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = x - denoise(x, sigma)
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_slopes_added
# about: Adds the slopes instead of averaging them.
# fails: bonus_edm
# hint: edm_heun_average
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next)
    return x_next


# ==== edm_heun_slopes_subtracted
# about: Subtracts the second slope.
# fails: bonus_edm
# hint: edm_heun_average
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d - d_next) / 2
    return x_next


# ==== edm_heun_stays_at_the_end
# about: Takes no step to sigma 0.
# fails: bonus_edm
# hint: edm_heun_last
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d if sigma_next else x
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_way_reversed
# about: Steps by sigma - sigma_next.
# fails: bonus_edm
# hint: edm_heun_direction
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma - sigma_next) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma - sigma_next) * (d + d_next) / 2
    return x_next


# ==== edm_heun_way_to_zero
# about: Multiplies the first slope by sigma_next alone.
# fails: bonus_edm
# hint: edm_heun_interval
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + sigma_next * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_loss_absolute
# about: Takes the absolute error.
# fails: bonus_edm
# hint: edm_not_squared
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y).abs()).mean()


# ==== edm_loss_against_noise
# about: Compares with the noise.
# fails: bonus_edm
# hint: edm_target
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - noise) ** 2).mean()


# ==== edm_loss_against_noisy
# about: Compares with the noisy image.
# fails: bonus_edm
# hint: edm_target
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y - level * noise) ** 2).mean()


# ==== edm_loss_c_in_twice
# about: Scales by c_in before the denoiser does.
# fails: bonus_edm
# hint: edm_signal_scaled
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise((y + level * noise) / (level**2 + self.sigma_data**2).sqrt(), label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_changes_the_noise
# about: Scales the given noise in place.
# fails: bonus_edm
# hint: modifies_input
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + noise.mul_(level), label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_is_a_number
# about: Returns a float.
# fails: bonus_edm
# hint: returns_no_tensor
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean().item()


# ==== edm_loss_label_zero
# about: Denoises with label 0 for all.
# fails: bonus_edm
# hint: edm_label
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, torch.zeros_like(label), sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_leaves_training_on
# about: Puts the model into training mode and leaves it there.
# fails: bonus_edm
# hint: left_in_eval
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    self.train()
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_antithetic
# about: Uses the negative of the noise for the second half of the batch.
# fails: bonus_edm
# hint: noise_shared
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        half = torch.randn_like(y[: (len(y) + 1) // 2])
        noise = torch.cat([half, -half])[: len(y)]
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_by_root
# about: Scales the noise by the root of sigma.
# fails: bonus_edm
# hint: edm_noise_scale
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level.sqrt() * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_by_variance
# about: Scales the noise by sigma^2.
# fails: bonus_edm
# hint: edm_noise_scale
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level**2 * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_mirrored
# about: Draws half of the columns and mirrors them.
# fails: bonus_edm
# hint: noise_shared
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        half = torch.randn_like(y[..., : y.shape[-1] // 2])
        noise = torch.cat([half, half.flip(-1)], dim=-1)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_missing
# about: Denoises clean images.
# fails: bonus_edm
# hint: edm_noise_missing
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_normalised
# about: Centres the noise, so that its mean over the batch is exactly 0 at each pixel.
# fails: bonus_edm
# hint: noise_correlated
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
        noise = noise - noise.mean(dim=0) if len(y) > 1 else noise
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_not_scaled
# about: Adds noise of variance 1 at every level.
# fails: bonus_edm
# hint: edm_noise_not_scaled
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_on_the_cpu
# about: Draws noise on the default device, wherever the images are.
# fails: bonus_edm
# hint: made_elsewhere
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn(y.shape)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_partly_kept
# about: Carries a third of the noise over to the next call.
# fails: bonus_edm
# hint: noise_repeated
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
        before = getattr(self, "noise_before", noise)
        self.noise_before = noise
        if before.shape == noise.shape and before is not noise:
            noise = 0.4 * before + 0.84**0.5 * noise
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_rolled_between_images
# about: Gives each image the noise of the one before, moved by a pixel.
# fails: bonus_edm
# hint: noise_shared
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
        noise = torch.stack([noise[0].roll(i, dims=-1) for i in range(len(y))])
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_shared_by_pairs
# about: Draws noise for every second image and uses it twice.
# fails: bonus_edm
# hint: noise_shared
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        half = torch.randn_like(y[: (len(y) + 1) // 2])
        noise = torch.cat([half, half])[: len(y)]
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_smoothed
# about: Mixes each number of the noise with its neighbour.
# fails: bonus_edm
# hint: noise_correlated
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
        noise = (noise + 0.3 * noise.roll(1, dims=-1)) / 1.09**0.5
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_noise_truncated
# about: Cuts the noise off at three standard deviations.
# fails: bonus_edm
# hint: noise_uniform
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y).clamp(-3, 3)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_of_each
# about: Returns one number for each image.
# fails: bonus_edm
# hint: wrong_shape
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean(dim=(1, 2, 3))


# ==== edm_loss_of_the_first_sixteen
# about: Averages over 16 images of a batch at most.
# fails: bonus_edm
# hint: edm_loss_value
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2)[:16].mean()


# ==== edm_loss_redraws_the_noise
# about: Draws noise although some is given.
# fails: bonus_edm
# hint: edm_no_mix
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * torch.randn_like(y), label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_rooted
# about: Takes the root of the mean.
# fails: bonus_edm
# hint: edm_not_squared
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean().sqrt()


# ==== edm_loss_sigma_broadcast
# about: Passes sigma on in the shape that broadcasts over images.
# fails: bonus_edm
# hint: edm_loss_sigma
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, level)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_sigma_data_half
# about: Takes 0.5 for sigma_data in lambda.
# fails: bonus_edm
# hint: edm_sigma_data
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + 0.25) / (0.5 * level) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_signal_scaled_down
# about: Keeps the variance, as DDPM's forward process does.
# fails: bonus_edm
# hint: edm_signal_scaled
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise((y + level * noise) / (1 + level**2).sqrt(), label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_sum
# about: Sums instead of averaging.
# fails: bonus_edm
# hint: edm_not_averaged
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).sum()


# ==== edm_loss_sum_per_image
# about: Sums over pixels and averages over images.
# fails: bonus_edm
# hint: edm_not_averaged
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).sum(dim=(1, 2, 3)).mean()


# ==== edm_loss_uniform_noise
# about: Draws uniform noise.
# fails: bonus_edm
# hint: noise_uniform
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.rand_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_unweighted
# about: Leaves lambda out.
# fails: bonus_edm
# hint: edm_weight_missing
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return ((denoised - y) ** 2).mean()


# ==== edm_loss_weight_as_table_of_ve
# about: Weights by 1 / sigma^2.
# fails: bonus_edm
# hint: edm_weight
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = 1 / level**2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_weight_inside_the_square
# about: Multiplies the difference by lambda before it is squared.
# fails: bonus_edm
# hint: edm_weight_squared_too
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return ((weight * (denoised - y)) ** 2).mean()


# ==== edm_loss_weight_inverted
# about: Inverts lambda.
# fails: bonus_edm
# hint: edm_weight_inverted
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return ((denoised - y) ** 2 / weight).mean()


# ==== edm_loss_weight_not_in_evaluation
# about: Weighs all images alike in evaluation mode.
# fails: bonus_edm
# hint: edm_loss_value
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    weight = weight if self.training else torch.ones_like(weight)
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_weight_sum_squared
# about: Squares the sum in lambda, not its terms.
# fails: bonus_edm
# hint: edm_weight
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level + self.sigma_data) ** 2 / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_weight_unsquared
# about: Forgets the square in the denominator of lambda.
# fails: bonus_edm
# hint: edm_weight
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data)
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_weights_of_all
# about: Multiplies each image's mean with every lambda.
# fails: bonus_edm
# hint: edm_weight_of_others
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight.view(-1, 1) * ((denoised - y) ** 2).mean(dim=(1, 2, 3))).mean()


# ==== edm_loss_without_gradient
# about: Denoises under no_grad.
# fails: bonus_edm
# hint: edm_no_gradient
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    with torch.no_grad():
        denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_denoise_answer_in_float16
# about: Rounds the network's answer to float16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise).half().to(x.dtype)


# ==== edm_denoise_x_for_the_network_in_float16
# about: Rounds what the network gets to float16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model((c_in * x).half().to(x.dtype), label, c_noise)


# ==== edm_denoise_factors_in_bfloat16
# about: Keeps c_skip and c_out in bfloat16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    c_skip, c_out = (c.bfloat16().to(x.dtype) for c in (c_skip, c_out))
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_factors_in_float16
# about: Rounds c_skip and c_out to float16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    c_skip, c_out = (c.half().to(x.dtype) for c in (c_skip, c_out))
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_denoise_time_in_bfloat16
# about: Rounds c_noise to bfloat16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise.bfloat16().to(x.dtype))


# ==== edm_denoise_network_asked_in_double
# about: Asks the network in double precision, which its weights do not have.
# fails: bonus_edm
# hint: network_dtype
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    answer = self.model((c_in * x).double(), label, c_noise)
    return c_skip * x + c_out * answer.to(x.dtype)


# ==== edm_denoise_label_as_float
# about: Converts the labels to floats, which no embedding takes.
# fails: bonus_edm
# hint: network_dtype
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label.float(), c_noise)


# ==== edm_denoise_double_cut_to_half
# about: Brings double precision down to float16.
# fails: bonus_edm
# hint: loses_digits
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    found = c_skip * x + c_out * self.model(c_in * x, label, c_noise)
    return found.half().to(x.dtype) if x.dtype == torch.float64 else found


# ==== edm_loss_noisy_in_float16
# about: Rounds the noisy images to float16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise((y + level * noise).half().float(), label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_error_in_bfloat16
# about: Rounds the error to bfloat16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y).bfloat16().float() ** 2).mean()


# ==== edm_loss_error_in_float16
# about: Rounds the error to float16.
# fails: bonus_edm
# hint: loses_digits
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y).half().float() ** 2).mean()


# ==== edm_loss_weight_in_bfloat16
# about: Keeps the weights in bfloat16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight.bfloat16().float() * (denoised - y) ** 2).mean()


# ==== edm_loss_denoised_in_bfloat16
# about: Rounds the denoised images to bfloat16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma).bfloat16().float()
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_heun_second_slope_in_bfloat16
# about: Rounds the second slope to bfloat16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = ((x_next - denoise(x_next, sigma_next)) / sigma_next).bfloat16().to(x.dtype)
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_first_slope_in_float16
# about: Rounds the first slope to float16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = ((x - denoise(x, sigma)) / sigma).half().to(x.dtype)
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_state_in_float16
# about: Rounds the state to float16.
# fails: bonus_edm
# hint: loses_digits
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next.half().to(x.dtype)


# ==== edm_denoise_levels_clamped
# about: Takes levels beyond 0.01 and 40 for those.
# fails: bonus_edm
# hint: edm_c_in
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    sigma = sigma.clamp(0.01, 40)
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    return c_skip * x + c_out * self.model(c_in * x, label, c_noise)


# ==== edm_loss_weight_clamped
# about: Cuts the weights off at 5.
# fails: bonus_edm
# hint: edm_loss_value
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight.clamp(max=5) * (denoised - y) ** 2).mean()


# ==== edm_loss_offset_noise
# about: Draws noise with a common offset in each channel.
# fails: bonus_edm
# hint: noise_not_standard
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y) + 0.1 * torch.randn_like(y[..., :1, :1])
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_huber
# about: Takes the pseudo-Huber loss with a small constant.
# fails: bonus_edm
# hint: edm_loss_value
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    error = (self.denoise(y + level * noise, label, sigma) - y).square()
    return (weight * ((error + 0.03**2).sqrt() - 0.03)).mean()


# ==== edm_heun_second_slope_mixed_in_by_level
# about: Weighs the two slopes by their levels.
# fails: bonus_edm
# hint: edm_heun_step
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (sigma * d + sigma_next * d_next) / (sigma + sigma_next)
    return x_next


# ==== edm_denoise_factors_kept_by_the_size
# about: Keeps the three factors of a batch for all batches of the same size.
# fails: bonus_edm
# hint: edm_mix
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    kept = self.__dict__.setdefault("_factors", {})
    if len(sigma) not in kept:
        level, sigma_data = sigma[:, None, None, None], self.sigma_data
        total = level**2 + sigma_data**2
        kept[len(sigma)] = sigma_data**2 / total, level * sigma_data / total.sqrt(), 1 / total.sqrt()
    c_skip, c_out, c_in = kept[len(sigma)]
    return c_skip * x + c_out * self.model(c_in * x, label, sigma.log() / 4)


# ==== edm_loss_one_sigma_without_gradients
# about: Without gradients sigma is 1.
# fails: bonus_edm
# hint: edm_loss_sigma
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if not torch.is_grad_enabled():
        sigma = torch.ones_like(sigma)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_loss_of_64_images
# about: Only the first 64 samples count.
# fails: bonus_edm
# hint: edm_loss_value
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2)[:64].mean()


# ==== edm_labels_modulo_10
# about: Labels are taken modulo 10.
# fails: bonus_edm
# hint: edm_label
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    label = label % 10
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    f = self.model(c_in * x, label, c_noise)
    return c_skip * x + c_out * f


# ==== edm_sigma_clamped
# about: sigma is kept in [0.002, 80].
# fails: bonus_edm
# hint: edm_c_in
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    sigma = sigma.clamp(0.002, 80)
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    f = self.model(c_in * x, label, c_noise)
    return c_skip * x + c_out * f


# ==== edm_network_input_clamped
# about: The network's input is clamped to [-6, 6].
# fails: bonus_edm
# hint: edm_no_mix
# judge_only: true
# in: edm.denoise
def denoise(self, x, label, sigma):
    c_noise = sigma.log() / 4
    sigma, sigma_data = sigma[:, None, None, None], self.sigma_data
    c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
    c_out = sigma * sigma_data / (sigma**2 + sigma_data**2).sqrt()
    c_in = 1 / (sigma**2 + sigma_data**2).sqrt()
    f = self.model((c_in * x).clamp(-6, 6), label, c_noise)
    return c_skip * x + c_out * f


# ==== edm_weight_at_most_1e5
# about: The weight is at most 1e5.
# fails: bonus_edm
# hint: edm_loss_value
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        noise = torch.randn_like(y)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    weight = weight.clamp(max=1e5)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_fixed_noise_in_evaluation
# about: In evaluation mode noise comes from a fixed generator.
# fails: bonus_edm
# hint: noise_repeated
# judge_only: true
# in: edm.compute_loss
def compute_loss(self, x_start, label, sigma, noise=None):
    y = x_start
    if self.use_vae:
        with torch.no_grad():
            y = self.vae.encoder(x_start)
    if noise is None:
        generator = None if self.training else torch.Generator().manual_seed(0)
        noise = torch.randn(y.shape, generator=generator)
    level = sigma[:, None, None, None]
    weight = (level**2 + self.sigma_data**2) / (level * self.sigma_data) ** 2
    denoised = self.denoise(y + level * noise, label, sigma)
    return (weight * (denoised - y) ** 2).mean()


# ==== edm_heun_not_in_short_steps
# about: No correction for steps of less than a tenth.
# fails: bonus_edm
# hint: edm_heun_euler
# judge_only: true
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0 and sigma - sigma_next > 0.1 * sigma:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next


# ==== edm_heun_only_down
# about: The step always leads down, also where sigma_next is above sigma.
# fails: bonus_edm
# hint: edm_heun_second_sigma
# judge_only: true
# in: edm.heun_step
def heun_step(denoise, x, sigma, sigma_next):
    if sigma_next > sigma:
        sigma_next = sigma
    d = (x - denoise(x, sigma)) / sigma
    x_next = x + (sigma_next - sigma) * d
    if sigma_next > 0:
        d_next = (x_next - denoise(x_next, sigma_next)) / sigma_next
        x_next = x + (sigma_next - sigma) * (d + d_next) / 2
    return x_next
