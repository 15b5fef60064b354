"""A machine and its firmware: power, heat, fans, wear, start-up and throttle, and the catalogue of models."""
