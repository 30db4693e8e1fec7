"""What the platform talks to: the store of files, mail, webhooks, the clock."""
