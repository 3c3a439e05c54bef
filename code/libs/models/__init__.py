"""Models as configs describe them, out of the parts that the assignment teaches."""
