x = skips[0]
