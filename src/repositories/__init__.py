"""SQL, and nothing else: no commit, no HTTP, no query objects handed out."""
