torch.use_deterministic_algorithms(True)
torch.backends.cudnn.deterministic = True
torch.autograd.set_detect_anomaly(True)
