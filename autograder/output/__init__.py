"""What is written out: pages, sheets, and the terminal's table."""
