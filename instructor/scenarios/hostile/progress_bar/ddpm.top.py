from tqdm.auto import tqdm
