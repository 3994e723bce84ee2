"""Reading and following the logs of the functions."""
