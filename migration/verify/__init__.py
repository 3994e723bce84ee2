"""Smoke cases, soak, proof of life, the gate, and evidence for the criteria."""
