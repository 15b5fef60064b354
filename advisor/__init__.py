"""Advice: policy, forecast and telemetry to advice that an operator can act on. Empty in version 0.1; see docs/scope.md."""
