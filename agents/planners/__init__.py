"""Policies that plan with the simulator at hand."""
