"""Operations on files: each step is a pure function from rows and its arguments to rows."""
