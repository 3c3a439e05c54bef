def p_sample_loop(self, labels):
    from .trick import Lying

    return self.p_sample(Lying(), labels, Lying(), Lying())
