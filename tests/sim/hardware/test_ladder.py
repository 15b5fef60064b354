"""The ladder of profiles: of one machine, and of a site's zones side by side."""

import numpy as np
import pytest

from hashgym.envs.batch.profiles import profile_table
from hashgym.sim.cooling.plants import LoopParams, PlantParams
from hashgym.sim.hardware import catalogue
from hashgym.sim.hardware.firmware import setpoint_power_w
from hashgym.sim.hardware.ladder import ladder_of
from hashgym.sim.site.ladders import SiteLadders
from hashgym.sim.site.params import SiteParams, ZoneParams

pytestmark = pytest.mark.interpreted


def zone(machine: str, **options: PlantParams | int) -> ZoneParams:
    return ZoneParams(
        machine=catalogue.machine(machine), firmware=catalogue.firmware("slow_tuner"), **{"n_units": 280, **options}
    )  # type: ignore[arg-type]


SITE = SiteParams(
    zones=(zone("s19j_pro", n_units=280), zone("t21", n_units=40), zone("s21_hyd", plant=LoopParams(), n_units=90))
)
LADDERS = SiteLadders.of(SITE)


@pytest.mark.parametrize("z", range(3))
def test_setpoint_power_is_to_the_last_bit_what_the_firmware_reckons_with(z: int) -> None:
    ladder = SITE.zones[z].ladder
    kernels = [setpoint_power_w(f, SITE.zone_record[z]) for f in ladder.freq_mhz]
    assert ladder.setpoint_power_w.tolist() == kernels


@pytest.mark.parametrize("key", catalogue.machine_names())
def test_a_set_point_stands_for_less_than_the_lists_which_have_fans(key: str) -> None:
    machine, ladder = catalogue.machine(key), ladder_of(catalogue.machine(key))
    fans_w = ladder.listed_power_w - ladder.setpoint_power_w
    assert fans_w == pytest.approx(np.full(len(ladder), machine.fan_rated_w * 0.6**3), abs=1e-6)
    assert np.all(ladder.listed_hashrate_ths < ladder.nominal_hashrate_ths)


def test_a_ladder_cannot_be_changed() -> None:
    ladder = ladder_of(catalogue.machine("s19j_pro"))
    with pytest.raises(ValueError, match="read-only"):
        ladder.freq_mhz[0] = 1.0


def test_a_shorter_ladder_is_filled_with_its_last_profile() -> None:
    assert len(set(LADDERS.n_profiles.tolist())) > 1
    for z, n in enumerate(LADDERS.n_profiles):
        assert LADDERS.freq_mhz[z, :n].tolist() == list(SITE.zones[z].machine.profiles_mhz)
        for values in (LADDERS.freq_mhz, LADDERS.meter_power_w, LADDERS.paid_hashrate_ths):
            assert set(values[z, n:]) <= {values[z, n - 1]}


def test_actions_are_the_set_points_they_stand_for() -> None:
    for z in range(3):
        ladder = SITE.zones[z].ladder
        for k in range(len(ladder)):
            wanted = np.zeros(3)
            wanted[z] = ladder.freq_mhz[k] + 0.3
            expected = [0, 0, 0]
            expected[z] = k + 1
            assert LADDERS.actions(wanted).tolist() == expected
            assert ladder.nearest(wanted[z]) == k


def test_a_power_limit_finds_the_highest_profile_within_it() -> None:
    tops = LADDERS.n_profiles - 1
    own_w = LADDERS.setpoint_power_w
    assert LADDERS.highest_within(own_w[:, 2]).tolist() == [2, 2, 2]
    assert LADDERS.highest_within(own_w[:, 2] - 1.0).tolist() == [1, 1, 1]
    assert LADDERS.highest_within(np.zeros(3)).tolist() == [0, 0, 0]
    assert np.all(LADDERS.highest_within(np.full((2, 3), 1e9)) >= tops)


def test_the_meter_sees_plant_network_and_losses_beside_the_machines() -> None:
    for z, part in enumerate(SITE.zones):
        machines_w = part.n_units * part.ladder.listed_power_w
        at_least = (machines_w + part.n_units * SITE.misc_w_per_unit) * (1.0 + SITE.transformer_loss_frac)
        assert np.all(LADDERS.meter_power_w[z, : len(machines_w)] > at_least)
        assert LADDERS.asleep_power_w[z] < 0.05 * LADDERS.meter_power_w[z, 0]


def test_the_kernels_table_is_the_ladders_with_nothing_behind_the_last_profile() -> None:
    table, menus = profile_table(SITE)
    assert menus["n_profiles"].tolist() == LADDERS.n_profiles.tolist()
    for z, n in enumerate(LADDERS.n_profiles):
        assert table["meter_power_w"][z, :n].tolist() == LADDERS.meter_power_w[z, :n].tolist()
        assert not table["freq_mhz"][z, n:].any()
        assert menus["best_ths_per_w"][z] == np.max(table["paid_hashrate_ths"][z, :n] / table["meter_power_w"][z, :n])
