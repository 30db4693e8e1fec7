"""Stores and the clock, against the real thing."""
