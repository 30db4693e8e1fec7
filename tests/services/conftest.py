"""Fixtures of the tests in this folder."""

from tests.committing import own_settings, workshop

__all__ = ["own_settings", "workshop"]
