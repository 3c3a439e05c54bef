"""The sandbox for student code: confined processes that answer requests over a pipe."""
