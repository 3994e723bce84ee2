"""What every room rests on: errors, time, durations, secrets, progress."""
