"""Forecasts: series in, predictive distributions out. Empty in version 0.1; see docs/scope.md."""
