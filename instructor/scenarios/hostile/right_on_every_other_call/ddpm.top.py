
CALLS = []
