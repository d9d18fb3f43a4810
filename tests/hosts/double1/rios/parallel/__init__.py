"""Where RIOS 1.4 keeps its job managers."""
