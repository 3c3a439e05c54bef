x = x[:, : self.conv_in.out_channels]
