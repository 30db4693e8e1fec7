"""Imports: rows judged against the fields they feed; the good ones go to PostgreSQL, the others come back."""
