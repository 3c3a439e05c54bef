SCALE = torch.ones(1).cuda()
