@torch.jit.script
def weighted(a: Tensor, b: Tensor, of_a: float, of_b: float) -> Tensor:
    return of_a * a + of_b * b
