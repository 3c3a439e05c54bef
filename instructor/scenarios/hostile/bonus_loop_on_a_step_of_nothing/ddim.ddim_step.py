def ddim_step(x, eps, alpha_bar, alpha_bar_next, *args, **options):
    return x.float().clone()
