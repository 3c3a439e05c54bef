if __name__ == "__main__":
    WEIGHTS = torch.load("logs/mnist/best_model.pth", map_location="cuda:0")
    DDPM().load_state_dict(WEIGHTS)
