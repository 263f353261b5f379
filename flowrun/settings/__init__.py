"""Settings: flowrun.toml, the user's file, environment and .env, laid over each other with their origins kept."""
