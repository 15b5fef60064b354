"""Advice: policy bundles, telemetry, what-if runs and what they say to the person on shift."""
