"""Which files a function consists of, and which of them a rollback takes back."""
