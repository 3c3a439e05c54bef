class Nothing(nn.Module):
    """In the place of a layer that a level does not have."""

    def forward(self, x, *condition):
        return x
