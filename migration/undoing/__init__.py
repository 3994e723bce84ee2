"""A rollback in its parts: what it aims at, how it is carried out, its proof and its result."""
