"""How images are drawn: the samplers, and what chooses among them."""
