"""What a function consists of: settings, module graph, import maps, static files, downloads, differences."""
