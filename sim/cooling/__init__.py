"""Cooling plants around the machines of a zone: ventilated container, air-conditioned room, liquid loop."""
