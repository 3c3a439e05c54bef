@torch.no_grad()
def heun_step(denoise, x, sigma, sigma_next):
    def slope(at, level):
        return (at - denoise(at.to(x.dtype), level).double()) / level

    start = x.double()
    slopes = [slope(start, sigma)]
    if sigma_next > 0:
        slopes.append(slope(start + (sigma_next - sigma) * slopes[0], sigma_next))
    return (start + (sigma_next - sigma) * sum(slopes) / len(slopes)).to(x.dtype)
