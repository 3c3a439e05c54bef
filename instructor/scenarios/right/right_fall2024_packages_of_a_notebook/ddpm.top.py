import wandb
from IPython.display import clear_output
from matplotlib import pyplot as plt
from torch.utils.tensorboard import SummaryWriter
from tqdm.notebook import tqdm

plt.rcParams["figure.dpi"] = 120
