"""Spend from the logs, against the bill and the budget."""
