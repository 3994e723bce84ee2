"""The hosted logs: SQL, windows and pages, names and signals, and a tail that loses nothing."""
