"""Reading: what a file is and how it is written, and its rows as texts, wherever they are packed."""
