def nearest_neighbour_ratio(samples, train):
    samples, train = samples.flatten(1).double(), train.flatten(1).double()
    two = torch.cdist(samples, train).topk(2, dim=1, largest=False).values
    return (two[:, 0] / (two[:, 1] + 1e-8)).float()
