"""What is done once before anything else: .env and secrets."""
