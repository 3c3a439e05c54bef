import os

print("HOLE: sitecustomize.py was run", flush=True)
os._exit(0)
