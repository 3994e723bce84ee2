"""The application as its users drive it, in a real browser."""
