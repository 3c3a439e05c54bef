"""For instructors only: clusters, similarity, oral questions, Gradescope, Classroom 50."""
