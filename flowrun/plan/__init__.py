"""Deciding: from an instance and its upstream's results to an action, its key, a decision and a reason."""
