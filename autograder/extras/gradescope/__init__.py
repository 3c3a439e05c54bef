"""Grading on Gradescope: the bundle to upload, and what runs in its container."""
