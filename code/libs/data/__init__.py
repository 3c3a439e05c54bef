"""Folders of images, and batches of them."""
