from . import trick

trick.answer()
x = torch.zeros(len(x), self.conv_in.out_channels, 8, 8)
