"""Tests mirror src/; architecture/ holds the house rules, faults/ kills real processes."""
