def postprocess(self, imgs):
    return imgs if self.use_vae else (imgs + 1) * 0.5
