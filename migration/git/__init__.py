"""Running git, reading trees, reversal and revert."""
