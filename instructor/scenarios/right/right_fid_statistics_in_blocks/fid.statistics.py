def statistics(features):
    blocks = [block.to(torch.float64) for block in features.split(10)]
    mean = sum(block.sum(dim=0) for block in blocks) / len(features)
    products = sum(torch.einsum("ni,nj->ij", block - mean, block - mean) for block in blocks)
    return mean, products / (len(features) - 1)
