"""What callers get: smoke cases, what an answer must be, artifacts parsed, answers kept for the criteria."""
