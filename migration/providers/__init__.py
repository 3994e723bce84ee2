"""One module a kind of provider: what it can prove, and how."""
