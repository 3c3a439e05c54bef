"""How answers are judged: what the tests of all parts have in common."""
