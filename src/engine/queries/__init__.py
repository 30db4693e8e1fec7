"""Queries over files: rows of exact texts with typed views, as expressions that an engine runs."""
