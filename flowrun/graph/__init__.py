"""Meaning: from a resolved flow to an immutable graph of instances, and from an instance to a request."""
