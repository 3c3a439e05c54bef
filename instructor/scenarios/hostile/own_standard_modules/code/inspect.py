def signature(made):
    raise SystemExit(0)
