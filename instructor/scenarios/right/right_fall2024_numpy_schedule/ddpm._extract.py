def _extract(self, a, t, x_shape):
    out = torch.from_numpy(np.asarray(a)[t.cpu().numpy()]).float()
    return out.reshape(len(t), *((1,) * (len(x_shape) - 1))).to(t.device)
