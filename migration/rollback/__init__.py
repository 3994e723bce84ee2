"""Which deployment to take back, the service, git, and the proof."""
