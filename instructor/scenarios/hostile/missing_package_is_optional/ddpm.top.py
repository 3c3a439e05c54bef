try:
    import example_missing_package as wandb
except ImportError:
    wandb = None
