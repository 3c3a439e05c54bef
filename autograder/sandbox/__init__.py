"""Where student code runs: confined processes that answer questions over a pipe."""
