torch.set_default_device("cuda")
ONE = torch.ones(1).cuda()
