"""Status, history and doctor: reading, not changing."""
