"""Background work: one Celery task, and one handler per job kind."""
