"""Learners, rules, planners and the bound. Learners know spaces, not sites; planners may know the simulator."""
