"""Reads what teams hand in, without trusting a byte of it."""
