"""Contests of trained weights: rules, drawing, scores, the leaderboard."""
