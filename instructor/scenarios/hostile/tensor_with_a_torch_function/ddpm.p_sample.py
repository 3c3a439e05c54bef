def p_sample(self, x, label, t, t_index):
    return self.model(x.as_subclass(Sly), label, t).as_subclass(Sly)
