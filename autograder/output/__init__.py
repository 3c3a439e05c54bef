"""Output: the HTML pages, the CSV sheets, and the table in the terminal."""
