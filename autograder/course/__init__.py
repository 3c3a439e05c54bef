"""What the course knows besides the submissions: its people, and points that a person gave."""
