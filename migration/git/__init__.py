"""Running git, reading trees, the revert and its push."""
