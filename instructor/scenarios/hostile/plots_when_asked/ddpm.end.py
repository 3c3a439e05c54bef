def show(samples):
    import matplotlib.pyplot as plt

    plt.imshow(samples[0].permute(1, 2, 0))
    plt.show()
