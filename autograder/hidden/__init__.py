"""What students never get: the expected values, and the results of known mistakes."""
