"""Tokens and dollars: sums in the log engine, the provider's bill, reconciliation, projection."""
