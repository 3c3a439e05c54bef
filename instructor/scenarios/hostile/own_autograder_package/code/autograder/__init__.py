print("HOLE: the submission's autograder was imported", flush=True)
