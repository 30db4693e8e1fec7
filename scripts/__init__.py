"""What is run beside the service: set-up, locks, samples, the Insomnia collection."""
