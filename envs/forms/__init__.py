"""The forms of an environment: single, vector, stable-baselines3, PettingZoo, safe; and its pictures."""
