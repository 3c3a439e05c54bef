"""How answers are judged: code that the tests of several parts share."""
