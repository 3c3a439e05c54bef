def nearest_neighbour_ratio(samples, train):
    pool, found = train.flatten(1).double(), []
    for sample in samples.flatten(1).double():
        first, second = (pool - sample).square().sum(dim=1).sqrt().sort().values[:2]
        found.append(torch.where(second > 0, first / second, torch.zeros_like(second)))
    return torch.stack(found).float()
