"""The course around the submissions: its people, and the points that people gave."""
