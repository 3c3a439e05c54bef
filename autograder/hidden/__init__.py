"""What never goes out to students: expected values, and what known mistakes give."""
