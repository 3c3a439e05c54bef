"""A run that explains itself: what is off in a model, its data or its training."""
