print "loading the diffusion model"
