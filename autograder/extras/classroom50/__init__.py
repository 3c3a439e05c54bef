"""Grading with Classroom 50: the folder to upload, and the script for a student's checkout."""
