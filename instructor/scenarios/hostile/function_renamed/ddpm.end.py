DDPM.forward_sample = DDPM.q_sample
del DDPM.q_sample
