"""Use cases: they decide, order and name; what needs none of that goes straight to a repository."""
