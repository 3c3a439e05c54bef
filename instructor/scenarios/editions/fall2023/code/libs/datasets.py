import torchvision
from torch.utils.data import DataLoader
from torchvision import transforms


def make_loader(data_folder, split, batch_size, num_workers):
    transform = transforms.Compose([transforms.ToTensor(), transforms.Lambda(lambda x: 2 * x - 1)])
    data = torchvision.datasets.MNIST(
        data_folder, train=split == "train", transform=transform, download=True
    )
    return DataLoader(data, batch_size, shuffle=True, num_workers=num_workers, drop_last=True)
