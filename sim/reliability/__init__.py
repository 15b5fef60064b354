"""Failures, technicians, spares and dust as a discrete-event world."""
