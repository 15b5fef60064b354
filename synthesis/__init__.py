"""Synthetic history: models of weather, electricity, coins and load, how they are fitted to real history, and what they make."""
