"""Figures as files."""

import io

from matplotlib.figure import Figure


def png(figure: Figure, dpi: int) -> bytes:
    """Return a figure as a PNG that does not change with the version of what drew it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
