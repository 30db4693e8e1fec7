"""Flask commands, one module per noun; they open the same unit of work as the API."""
