"""Records, deployments and the lock, shared through the git remote of the app."""
