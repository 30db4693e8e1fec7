"""Marks the package; import-linter needs it, or it would check nothing and pass."""
