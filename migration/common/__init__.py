"""What every phase stands on: time, progress, orderly ends, durable files, secrets that do not show."""
