"""What instructors alone run: clusters, similarity, Gradescope."""
