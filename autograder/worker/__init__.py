"""What runs in a worker: it imports a submission, and calls its functions for the judge."""
