WEIGHTS = torch.load("logs/mnist/best_model.pth", map_location="cuda:0")
