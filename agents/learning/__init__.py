"""Learners, and all that a policy needs while it learns: training, checkpoints, teachers, shaping, export as a graph."""
