import os

from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms
from torchvision.datasets import MNIST


class AFHQ(Dataset):
    def __init__(self, root, transform):
        self.classes = sorted(os.listdir(root))
        self.files = [
            (os.path.join(root, c, name), i)
            for i, c in enumerate(self.classes)
            for name in sorted(os.listdir(os.path.join(root, c)))
        ]
        self.transform = transform

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        path, label = self.files[i]
        return self.transform(Image.open(path).convert("RGB")), label


def build_dataset(name, split, img_size, data_folder, use_vae):
    steps = [transforms.Resize(img_size), transforms.ToTensor()]
    if not use_vae:
        steps.append(transforms.Lambda(lambda x: x * 2 - 1))
    transform = transforms.Compose(steps)
    if name == "MNIST":
        return MNIST(data_folder, train=split == "train", transform=transform, download=True)
    return AFHQ(data_folder, transform)


def build_dataloader(dataset, batch_size, num_workers):
    return DataLoader(dataset, batch_size, shuffle=True, num_workers=num_workers, drop_last=True)
