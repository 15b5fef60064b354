"""What a site reports beside its machines: air, fans, pumps, chillers, the meter and a weather station."""

from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..contract.channels import OUTDOOR_TEMP_C, WET_BULB_TEMP_C
from ..cooling.air import supply_temp_c
from ..cooling.plants import ContainerParams, LoopParams
from ..cooling.psychrometrics import humidity_after_pct, humidity_of_wet_bulb
from ..foundation.constants import CONTROL_STEP_S, SECONDS_PER_HOUR
from ..foundation.errors import BadInputError
from ..site.step import Site

FloatArray = npt.NDArray[np.float64]

DROP_OUT_FRAC: Final = 0.003
"""Chance that a sensor falls silent at a step. assumed."""

_DROP_OUT_STEPS: Final = 6.0
"""Mean length of a silence, in control steps. assumed: half an hour."""

_DRIFT_PER_STEP: Final = 1.0 / np.sqrt(105120.0)
"""Standard deviation of a step of a sensor's drift over that of its noise: as much as the noise in a year. assumed."""

_NOISE: Final = {"c": 0.3, "pct": 2.0, "m3_per_s": 0.02, "kw": 0.005}
"""Noise by unit: kelvin and percentage points as they are, the others relative. assumed: industrial sensors of class 1."""


class SiteReporter:
    """Turns what a site did into the readings of its sensors, with noise, drift and drop-outs that follow from a seed."""

    def __init__(self, run: Site, seed: int, env: int = 0) -> None:
        """Watch environment `env` of a batch of sites."""
        self.run, self.env, self.seed = run, env, seed
        self._drift: dict[str, float] = {}
        self._silent: dict[str, int] = {}
        self._last_step, self._readings = -1, dict[str, float]()

    def read(self, stamp: pd.Timestamp) -> dict[str, float | str]:
        """Return the readings of every sensor after a step; a silent one reads NaN.

        Of each zone z: z_inlet_temp_c, z_exhaust_temp_c, z_inlet_humidity_pct (of air), z_air_m3_per_s, z_machines_kw,
        z_plant_fans_kw, z_pumps_kw, z_chiller_kw and the set-points of `set_points`; site_meter_kw; outdoor_temp_c,
        outdoor_wet_bulb_temp_c, outdoor_humidity_pct.
        """
        step = int(self.run.state.site["step"][self.env])
        if step != self._last_step:
            rng = np.random.default_rng([self.seed, step])
            since = max(1, step - self._last_step)
            self._readings = {name: self._sense(rng, name, value, since) for name, value in self.true().items()}
            self._last_step = step
        return {
            "time_utc": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
            **self._readings,
            **self.set_points(),
        }

    def true(self) -> dict[str, float]:
        """Return what perfect sensors would read."""
        run, i = self.run, self.env
        site = run.state.site[i]
        if site["step"] < 1:
            raise BadInputError("the site has done no step yet; its sensors have nothing to read")
        row = run.exogenous.values[site["series"], site["step"] - 1]
        outdoor_c, wet_c = row[OUTDOOR_TEMP_C], row[WET_BULB_TEMP_C]
        altitude_m = run.params.altitude_m
        per_kw = SECONDS_PER_HOUR / CONTROL_STEP_S
        values: dict[str, float] = {}
        for z, zone in enumerate(run.params.zones):
            flow = run.zone_flow[i, z]
            pumps_kw, chiller_kw = flow["pump_energy_kwh"] * per_kw, flow["chiller_energy_kwh"] * per_kw
            values |= {
                f"zone{z}_inlet_temp_c": float(flow["inlet_temp_c"]),
                f"zone{z}_exhaust_temp_c": float(flow["exhaust_temp_c"]),
                f"zone{z}_air_m3_per_s": float(flow["air_m3_per_s"]),
                f"zone{z}_machines_kw": float(flow["it_energy_kwh"] * per_kw),
                f"zone{z}_plant_fans_kw": float(flow["cooling_energy_kwh"] * per_kw - pumps_kw - chiller_kw),
                f"zone{z}_pumps_kw": float(pumps_kw),
                f"zone{z}_chiller_kw": float(chiller_kw),
            }
            if not isinstance(zone.plant, LoopParams):
                values[f"zone{z}_inlet_humidity_pct"] = self._humidity_pct(z, outdoor_c, wet_c)
        outdoor_ratio = humidity_of_wet_bulb(outdoor_c, wet_c, altitude_m)
        values["site_meter_kw"] = float(run.site_flow["energy_kwh"][i] * per_kw)
        values["outdoor_temp_c"], values["outdoor_wet_bulb_temp_c"] = float(outdoor_c), float(wet_c)
        values["outdoor_humidity_pct"] = float(
            humidity_after_pct(np.array([outdoor_c]), np.array([outdoor_ratio]), altitude_m)[0]
        )
        return values

    def _humidity_pct(self, number: int, outdoor_c: float, wet_c: float) -> float:
        """Return the relative humidity at a zone's inlet: pads add water to outdoor air, mixing and coils take none."""
        run, plant, altitude_m = self.run, self.run.params.zones[number].plant, self.run.params.altitude_m
        behind_c = outdoor_c
        if isinstance(plant, ContainerParams) and run.state.zone[self.env, number]["pad_on"] > 0.0:
            behind_c = supply_temp_c(outdoor_c, wet_c, plant.pad_effectiveness)
        ratio = humidity_of_wet_bulb(behind_c, wet_c, altitude_m)
        inlet_c = run.zone_flow[self.env, number]["inlet_temp_c"]
        return float(humidity_after_pct(np.array([inlet_c]), np.array([ratio]), altitude_m)[0])

    def set_points(self) -> dict[str, float]:
        """Return the set-points that are commanded, exactly as controllers report them.

        They are what a plant can be told (`commands`): of each zone z in air z_chip_target_c (hottest chip that the machines'
        fans hold), and z_pads_target_c of a container (outdoor temperature at which its pads go on) or z_supply_target_c of a
        room; of one on a loop z_pump_target_pu (speed of the pump) and z_coolant_target_c.
        """
        result: dict[str, float] = {}
        for z, zone in enumerate(self.run.params.zones):
            state = self.run.state.zone[self.env, z]
            for command, temp_shift in zip(zone.plant.commands(zone), ("fan_shift_k", "plant_shift_k"), strict=True):
                is_speed = command.unit == "rated speed"
                shift = float(state["pump_shift_pu" if is_speed else temp_shift])
                result[f"zone{z}_{command.name}_target_{'pu' if is_speed else 'c'}"] = command.neutral + shift
        return result

    def _sense(self, rng: np.random.Generator, name: str, value: float, since: int) -> float:
        """Return a reading, `since` steps after the last one: the value with noise and drift, or NaN in a drop-out."""
        noise, step, draw, length = rng.standard_normal(), rng.standard_normal(), rng.random(), rng.exponential()
        self._drift[name] = self._drift.get(name, 0.0) + _DRIFT_PER_STEP * np.sqrt(since) * step
        self._silent[name] = self._silent.get(name, 0) - since
        if self._silent[name] < 0 and draw < DROP_OUT_FRAC:
            self._silent[name] = 1 + int(_DROP_OUT_STEPS * length)
        if self._silent[name] > 0:
            return float("nan")
        unit = next(unit for unit in _NOISE if name.endswith(f"_{unit}"))
        error = _NOISE[unit] * (noise + self._drift[name])
        if unit == "pct":
            return float(min(100.0, max(0.0, value + error)))
        return float(value + error if unit == "c" else value * (1.0 + error))
