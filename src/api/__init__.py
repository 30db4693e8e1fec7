"""HTTP: parse, authorise, open the unit of work, call one thing, answer."""
