DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SCALE = torch.ones(1, device=DEVICE)
