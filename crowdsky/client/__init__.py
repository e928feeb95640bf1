"""The service's client, for notebooks and scripts."""
