class ResBlock(nn.Module:
    pass
