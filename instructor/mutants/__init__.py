"""Mistakes made by rule, which show what the tests of the grader overlook."""
