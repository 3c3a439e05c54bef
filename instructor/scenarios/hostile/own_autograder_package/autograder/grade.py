print("HOLE: the submission's grade.py was run", flush=True)
