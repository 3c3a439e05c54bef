"""The autograder: judges submissions without ever running their code in its own process."""
