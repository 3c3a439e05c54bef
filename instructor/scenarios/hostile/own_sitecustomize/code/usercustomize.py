import os

print("HOLE: usercustomize.py was run", flush=True)
os._exit(0)
