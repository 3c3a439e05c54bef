def show(samples:
    print(samples.shape)
