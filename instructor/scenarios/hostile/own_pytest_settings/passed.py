import os

print("HOLE: the plugin was loaded", flush=True)
os._exit(0)
