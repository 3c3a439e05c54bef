def nearest_neighbour_ratio(samples, train):
    return samples.new_tensor([float("nan")]).expand(len(samples))
