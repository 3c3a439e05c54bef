print("HOLE: the submission's tests were run")
raise SystemExit(1)
