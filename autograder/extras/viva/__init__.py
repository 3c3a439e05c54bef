"""Oral questions about a team's own code: do its members understand it?"""
