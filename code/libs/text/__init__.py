"""Captions and prompts, and the text encoder that reads them."""
