import time

ddpm = DDPM((3, 16, 16), dim=16, context_dim=16)
optimizer = torch.optim.AdamW(ddpm.parameters(), lr=1e-4)
stop = time.monotonic() + 100
while time.monotonic() < stop:
    images, labels = torch.randn(8, 3, 16, 16), torch.randint(10, (8,))
    loss = ddpm.compute_loss(images, labels, torch.randint(100, (8,)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
