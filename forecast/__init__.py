"""Forecasts: published series in, predictive distributions and joint paths out. Imports nothing else of HashGym."""
