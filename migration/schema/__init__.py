"""The shape of config.yaml, and YAML with a place for every value."""
