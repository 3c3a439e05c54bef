"""Playing with a trained model in a browser: what can be done, and the page for it."""
