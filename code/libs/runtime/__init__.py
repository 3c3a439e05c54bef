"""The machine and the files: devices, random numbers, checkpoints, pictures, progress."""
