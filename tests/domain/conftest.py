"""The same examples each time: a test that fails here fails everywhere."""

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
