"""What the course knows beside the submissions: its people, their time, a person's points."""
