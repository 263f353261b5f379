"""Where everything is bound together for a run: provider, ledger, store, planner, driver. The CLI and the Python API are
thin over this."""
