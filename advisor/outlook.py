"""From a bundle to its forecaster, and from a time to a history's step."""

import pandas as pd

from ..forecast.model import Forecaster
from ..sim.foundation.constants import CONTROL_STEP_S
from ..sim.foundation.errors import BadInputError
from ..sim.history.history import History


def read_forecaster(content: bytes, where: str) -> Forecaster:
    """Return the forecaster of a bundle; raises BadInputError that names the file if it is none."""
    try:
        return Forecaster.parse(content)
    except ValueError as error:
        raise BadInputError(f"{where}: {error}") from error


def step_of(history: History, stamp: pd.Timestamp) -> int:
    """Return the step of a history that a time lies in; it may be beyond the history's end."""
    return int((stamp - history.start) // pd.Timedelta(seconds=CONTROL_STEP_S))
