"""The family of errors that HashGym raises; the command line prints their message without a traceback."""


class HashGymError(Exception):
    """Base of every error that HashGym raises on purpose."""


class BadInputError(HashGymError, ValueError):
    """A value, file, column, row or key is wrong; the message says which and what would be right."""


class InfeasibleError(HashGymError, RuntimeError):
    """There is no solution of the kind that was asked for."""


class CheckpointError(HashGymError, ValueError):
    """A checkpoint is truncated, tampered with or belongs to another run."""


class BundleError(HashGymError, ValueError):
    """A policy bundle is refused: incomplete, changed, of another schema or made for other observations."""
