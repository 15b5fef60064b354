"""The model against measurements that ship with the catalogue."""

import pytest

from hashgym.experiments import steady_points
from hashgym.sim import models


@pytest.mark.parametrize("point", steady_points.points(), ids=lambda point: f"{point['machine']}-{point['power_w']}")
def test_the_catalogue_holds_what_the_steady_points_say(point: dict[str, object]) -> None:
    machine = models.machine(str(point["machine"]))
    for name, value in steady_points.fitted(point).items():
        assert getattr(machine, name) == pytest.approx(value, rel=0.01)


def test_points_that_were_not_fitted_are_met_within_three_kelvin() -> None:
    judged = [row for row in steady_points.rows() if not row["fitted"]]
    assert len(judged) >= 4
    assert max(abs(row["error_k"]) for row in judged) <= 3.0
