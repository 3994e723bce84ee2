"""The schema of config.yaml, .env, environments and signals."""
