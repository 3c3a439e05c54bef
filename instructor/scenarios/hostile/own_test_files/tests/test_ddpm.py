def test_fails():
    print("HOLE: the submission's tests were run")
    raise AssertionError
