x = torch.zeros(len(x), self.conv_in.out_channels, *skips[0].shape[2:])
