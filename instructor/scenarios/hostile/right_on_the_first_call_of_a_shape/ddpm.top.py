
SHAPES = set()
