import subprocess
import sys

PIP = [sys.executable, "-m", "pip", "--retries", "0", "--timeout", "1", "install", "--no-cache-dir"]
INDEX = ["--index-url", "http://127.0.0.1:9/simple", "example-missing-package"]
subprocess.run([*PIP, *INDEX], check=False)
