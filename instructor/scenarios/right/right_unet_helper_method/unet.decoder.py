for level in self.decoder:
    x = self._decode_level(level, x, skips.pop(), t_emb, context)
