@torch.jit.script
def mix(x: Tensor, eps: Tensor, beta: Tensor, rate: Tensor, sigma: Tensor) -> Tensor:
    mean = (x - beta / rate * eps) / torch.sqrt(1 - beta)
    return mean + sigma * torch.randn_like(x)
