"""The grader's scorecard."""
