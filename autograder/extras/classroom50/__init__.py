"""Grading with Classroom 50: the folder to upload, and what runs in a student's checkout."""
