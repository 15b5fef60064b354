"""Parquet tables that come from elsewhere, with a bound on what they unfold to."""

import io
from typing import Final

import pandas as pd
import pyarrow.parquet as pq

from .errors import BadInputError

MAX_CELLS: Final = 200_000_000
"""Most cells of a Parquet table that are unpacked. chosen: 1.6 GB of numbers; repeats take next to no bytes in the file."""


def read_parquet(content: bytes) -> pd.DataFrame:
    """Return a Parquet table; raises BadInputError if it unfolds to more than MAX_CELLS."""
    with pq.ParquetFile(io.BytesIO(content)) as file:
        cells = file.metadata.num_rows * file.metadata.num_columns
    if cells > MAX_CELLS:
        raise BadInputError(f": unfolds to {cells} cells; at most {MAX_CELLS} are read")
    return pd.read_parquet(io.BytesIO(content))
