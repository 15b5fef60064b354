"""Scenarios: site, contract, history, splits, read from YAML."""
