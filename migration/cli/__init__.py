"""How a verb begins and ends, and everything that is printed."""
