torch.set_grad_enabled(False)
