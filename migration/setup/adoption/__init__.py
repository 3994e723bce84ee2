"""`inv init --app` and `--plan`: from an app, and from a written plan, to a commented config.yaml."""
