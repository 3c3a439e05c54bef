"""Grading on Gradescope: the bundle to upload, and the scripts for its container."""
