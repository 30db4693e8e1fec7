"""Rules and values: the standard library, and a few pure libraries that know no file and no network."""
