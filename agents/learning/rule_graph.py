"""The operator's rule as a network: what `envs.batch.operating` does in an environment, so that an exported policy holds it.

It repeats that file's kernels operation by operation, on many observations at once and in float64; a bundle is only written where both agree.
"""

import math

import numpy as np
import torch
from torch import nn

from ...envs.batch import acting, operating
from ...envs.batch.core import Batch
from ...envs.batch.operating import SCHEDULE
from ...envs.batch.tables import ZONE_COLUMNS
from ...sim.contract.reserve import N_HOURS
from ...sim.foundation.constants import CONTROL_STEP_S, STEP_MWH_PER_W, usd_per_th


class RuleGraph(nn.Module):
    """From observations and residual actions to an action of the form `setpoints`, (n, n_commands)."""

    freq_mhz: torch.Tensor
    meter_power_w: torch.Tensor
    paid_hashrate_ths: torch.Tensor
    is_profile: torch.Tensor
    best_ths_per_w: torch.Tensor

    def __init__(self, batch: Batch) -> None:
        """Take the rule and the columns of a batch with residual actions."""
        super().__init__()
        env = batch.world.env[0]
        self.env = {name: env[name].item() for name in env.dtype.names or ()}
        assert batch.setup.rule is not None
        self.rule, self.n_zones = dict(batch.setup.rule), batch.n_zones
        self.n_commands = batch.arrays.action.shape[1]
        profiles, menus = batch.profiles, batch.menus
        for name in ("freq_mhz", "meter_power_w", "paid_hashrate_ths"):
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(profiles[name])))
        numbers = np.arange(profiles.shape[1])
        self.register_buffer("is_profile", torch.from_numpy(numbers < menus["n_profiles"][:, None]))
        self.register_buffer("best_ths_per_w", torch.from_numpy(menus["best_ths_per_w"].copy()))
        self.top = [int(n) - 1 for n in menus["n_profiles"]]

    def forward(self, observations: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
        """Return the commands of observations, (n, n_observations), and residual actions, (n, n_moves)."""
        obs, held = observations.to(torch.float64), moves.to(torch.float64).clamp(-1.0, 1.0)
        columns = [torch.zeros_like(obs[:, 0]) for _ in range(self.n_commands)]
        is_peak, choices = torch.zeros_like(obs[:, 0], dtype=torch.bool), None
        if self.env["act_power"] >= 0:
            choices, is_peak = self._profiles(obs, held)
            for z in range(self.n_zones):
                columns[z * self.env["act_per_zone"]] = choices[:, z].to(torch.float64)
        self._zones(held, columns)
        if self.env["act_battery"] >= 0:
            assert choices is not None
            battery = self._battery(obs, held, choices)
            columns[self.env["act_battery"]] = torch.where(is_peak, torch.ones_like(battery), battery)
        self._site(obs, held, columns)
        return torch.stack(columns, dim=1)

    def setpoint_mhz(self, commands: torch.Tensor) -> torch.Tensor:
        """Return the frequency set-points of commands, (n, n_zones), 0 for sleep. [MHz]"""
        choice = torch.stack([commands[:, z * self.env["act_per_zone"]] for z in range(self.n_zones)], dim=1).long()
        table = self.freq_mhz.expand(commands.shape[0], -1, -1)
        chosen = torch.gather(table, 2, (choice - 1).clamp(min=0)[:, :, None])[:, :, 0]
        return torch.where(choice > 0, chosen, torch.zeros_like(chosen))

    def _moved(self, moves: torch.Tensor, name: str, offset: int = 0) -> torch.Tensor:
        column = self.env[name]
        return moves[:, column + offset] if column >= 0 else torch.zeros_like(moves[:, 0])

    def _market(self, obs: torch.Tensor) -> torch.Tensor:
        known = obs[:, self.env["known_energy_price_usd_per_mwh"]]
        return (known - self.env["adder_usd_per_mwh"]) / (1.0 + self.env["markup_frac"])

    def _renewable_w(self, obs: torch.Tensor) -> torch.Tensor | None:
        parts = [
            obs[:, self.env[f"{kind}_now_pu"]] * self.env[f"{kind}_w"]
            for kind in ("sun", "wind")
            if self.env[f"{kind}_now_pu"] >= 0
        ]
        return sum(parts[1:], parts[0]) if parts else None

    def _margin(self, obs: torch.Tensor) -> torch.Tensor:
        price, given_w = obs[:, self.env["known_energy_price_usd_per_mwh"]], self._renewable_w(obs)
        if given_w is None:
            return price
        export = (self._market(obs) + self.env["export_adder_usd_per_mwh"]).clamp(min=0.0)
        return torch.where(given_w < self.env["top_w"], price, export)

    def _profiles(self, obs: torch.Tensor, moves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each zone's choice, (n, n_zones), and whether the grid may have its peak, (n,)."""
        env, rule, margin = self.env, self.rule, self._margin(obs)
        hash_usd = obs[:, env["expected_hashprice_usd_per_ph_day"]] * (usd_per_th(1.0) * CONTROL_STEP_S)
        is_peak = torch.zeros_like(margin, dtype=torch.bool)
        if env["coincident_ratio"] >= 0:
            face = obs[:, env["hour_sin"]] * operating.PEAK_SIN + obs[:, env["hour_cos"]] * operating.PEAK_COS
            least = rule["peak_ratio"] + operating.MOST_PEAK * self._moved(moves, "move_peak")
            is_peak = (face > operating.PEAK_LEAST) & (obs[:, env["coincident_ratio"]] >= least)
        is_shed = is_peak
        if env["call_soon"] >= 0:
            is_shed = is_shed | (obs[:, env["call_soon"]] > 0.0)
        found = []
        for z in range(self.n_zones):
            usd = (
                self.paid_hashrate_ths[z] * hash_usd[:, None]
                - self.meter_power_w[z] * (margin * STEP_MWH_PER_W)[:, None]
            )
            best = torch.argmax(torch.where(self.is_profile[z], usd, torch.full_like(usd, -math.inf)), dim=1)
            base = z * env["move_per_zone"]
            even = (self.best_ths_per_w[z] * hash_usd / STEP_MWH_PER_W).clamp(min=1e-9)
            ratio = margin / even * torch.exp(operating.MOST_LOG_RATIO * self._moved(moves, "move_ratio", base))
            shift = torch.round(operating.MOST_PROFILES * self._moved(moves, "move_ratio", base + 1)).long()
            choice = (best + shift).clamp(0, self.top[z]) + 1
            off, on, nothing = rule["off_ratio"], min(rule["on_ratio"], rule["off_ratio"]), torch.zeros_like(choice)
            rides = torch.where(ratio <= off * rule["ride_ratio"], torch.ones_like(choice), nothing)
            awake = torch.where(ratio > off, rides, choice)
            is_asleep = obs[:, env["zones"] + z * env["per_zone"] + ZONE_COLUMNS.asleep] > 0.5
            choice = torch.where(is_asleep, torch.where(ratio >= on, nothing, choice), awake)
            found.append(torch.where(is_shed, nothing, choice))
        choices = torch.stack(found, dim=1)
        if math.isfinite(env["rule_cap_w"]):
            choices = self._under_cap(choices, env["rule_cap_w"])
        if rule["cap_pu"] < 1.0 or env["move_cap"] >= 0:
            share = rule["cap_pu"] * (1.0 + operating.MOST_CAP * self._moved(moves, "move_cap"))
            choices = self._under_share(choices, share.clamp(max=1.0) * env["top_w"], share < 1.0)
        return choices, is_peak

    def _power_w(self, choices: torch.Tensor) -> torch.Tensor:
        """Return the power of each zone at its choice, (n, n_zones). [W]"""
        table = self.meter_power_w.expand(choices.shape[0], -1, -1)
        chosen = torch.gather(table, 2, (choices - 1).clamp(min=0)[:, :, None])[:, :, 0]
        return torch.where(choices > 0, chosen, torch.zeros_like(chosen))

    def _hashes(self, choices: torch.Tensor) -> torch.Tensor:
        table = self.paid_hashrate_ths.expand(choices.shape[0], -1, -1)
        chosen = torch.gather(table, 2, (choices - 1).clamp(min=0)[:, :, None])[:, :, 0]
        return torch.where(choices > 0, chosen, torch.zeros_like(chosen))

    def _under_cap(self, choices: torch.Tensor, cap_w: float) -> torch.Tensor:
        zones = torch.arange(self.n_zones)
        for _ in range(sum(top + 1 for top in self.top)):
            power_w, below = self._power_w(choices), (choices - 1).clamp(min=0)
            saved_w = power_w - self._power_w(below)
            loss = (self._hashes(choices) - self._hashes(below)) / torch.where(
                choices > 0, saved_w, torch.ones_like(saved_w)
            )
            loss = torch.where(choices > 0, loss, torch.full_like(loss, math.inf))
            lowers = (
                (zones == torch.argmin(loss, dim=1)[:, None]) & (power_w.sum(dim=1) > cap_w)[:, None] & (choices > 0)
            )
            choices = choices - lowers.long()
        return choices

    def _under_share(self, choices: torch.Tensor, cap_w: torch.Tensor, is_capped: torch.Tensor) -> torch.Tensor:
        zones = torch.arange(self.n_zones)
        for _ in range(sum(self.top)):
            is_over = is_capped & (self._power_w(choices).sum(dim=1) > cap_w)
            lowers = (zones == torch.argmax(choices, dim=1)[:, None]) & is_over[:, None] & (choices > 1)
            choices = choices - lowers.long()
        return choices

    def _zones(self, moves: torch.Tensor, columns: list[torch.Tensor]) -> None:
        """Write what zones have beside power."""
        env = self.env
        for z in range(self.n_zones):
            at, move = z * env["act_per_zone"], z * env["move_per_zone"]
            if env["act_cooling"] >= 0:
                for k, name in enumerate(("first_command", "second_command")):
                    columns[at + env["act_cooling"] + k] = _between(
                        self.rule[name], self._moved(moves, "move_cooling", move + k)
                    )
            if env["move_share"] >= 0:
                columns[at + env["act_share"]] = self._moved(moves, "move_share", move)
            if env["move_service"] >= 0:
                columns[at + env["act_service"]] = self._moved(moves, "move_service", move)

    def _battery_prices(self, obs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        env, rule = self.env, self.rule
        charge = obs[:, env["battery_charge_pu"]]
        first = env["curve_now_usd_per_mwh"]
        hour, dearer, cheaper, spread, dear, cheap = (obs[:, first + k] for k in range(operating.N_SEEN))
        spike, least = torch.full_like(hour, rule["spike_usd"]), torch.full_like(hour, rule["cheap_usd"])
        if rule["family"] == SCHEDULE:
            is_wide = spread >= rule["least_spread_usd"]
            sells = is_wide & (dearer < rule["sell_hours"]) & (charge > rule["reserve_pu"])
            sell = torch.minimum(spike, (rule["sell_share"] * hour).clamp(min=rule["cheap_usd"]))
            buys = is_wide & (cheaper < rule["buy_hours"])
            return torch.where(sells, sell, spike), torch.where(
                buys, torch.maximum(least, rule["buy_share"] * hour), least
            )
        tilt = rule["slope"] * (0.5 - charge)
        high = dear * rule["sell_share"] * (1.0 + tilt)
        low = cheap * rule["buy_share"] + tilt * cheap.abs()
        is_wide = high - low >= rule["least_spread_usd"]
        sell = torch.minimum(spike, high.clamp(min=max(0.0, rule["cheap_usd"])))
        return torch.where(is_wide, sell, spike), torch.where(is_wide, torch.maximum(least, low), least)

    def _battery(self, obs: torch.Tensor, moves: torch.Tensor, choices: torch.Tensor) -> torch.Tensor:
        env, market = self.env, self._market(obs)
        sell, buy = self._battery_prices(obs)
        sell = _moved_price(sell, self._moved(moves, "move_sell"))
        buy = _moved_price(buy, self._moved(moves, "move_buy"))
        one = torch.ones_like(market)
        command = torch.where(market > sell, one, torch.where(market < buy, -one, torch.zeros_like(one)))
        given_w = self._renewable_w(obs)
        if given_w is not None:
            taken_w = 0.0 if self.rule["store_first"] > 0.0 else env["export_w"]
            spilled_w = (given_w - self._power_w(choices).sum(dim=1) - taken_w).clamp(min=0.0)
            stored = -(spilled_w / env["battery_w"]).clamp(max=1.0)
            command = torch.where((spilled_w > 0.0) & (command <= 0.0), torch.minimum(command, stored), command)
        return (command + 2.0 * _beyond_still(self._moved(moves, "move_battery"))).clamp(-1.0, 1.0)

    def _site(self, obs: torch.Tensor, moves: torch.Tensor, columns: list[torch.Tensor]) -> None:
        """Write what is offered, what is left of sun and wind, and where hashes are sold."""
        env = self.env
        if env["act_offer"] >= 0:
            columns[env["act_offer"]] = _between(1.0, -_beyond_still(self._moved(moves, "move_offer")).abs())
        if env["act_curtail"] >= 0:
            columns[env["act_curtail"]] = _beyond_still(self._moved(moves, "move_curtail")).clamp(min=0.0)
        if env["act_reserve"] >= 0:
            for hour in range(N_HOURS):
                columns[env["act_reserve"] + hour] = self._reserve(obs, moves, hour)
        if env["act_market"] >= 0:
            columns[env["act_market"]] = 2.0 * self._moved(moves, "move_market").clamp(min=0.0) - 1.0

    def _reserve(self, obs: torch.Tensor, moves: torch.Tensor, hour: int) -> torch.Tensor:
        env, rule, most = self.env, self.rule, acting.MOST_FLOOR_USD
        hash_usd = obs[:, env["expected_hashprice_usd_per_ph_day"]] * (usd_per_th(1.0) * CONTROL_STEP_S)
        even = float(self.best_ths_per_w.max()) * hash_usd / STEP_MWH_PER_W
        today = obs[:, env["curve_now_usd_per_mwh"] + operating.N_SEEN + hour]
        move = _beyond_still(self._moved(moves, "move_reserve"))
        is_never = torch.zeros_like(even, dtype=torch.bool)
        if math.isfinite(rule["reserve_floor_usd"]):
            saved = (today + env["adder_usd_per_mwh"] - even).clamp(min=0.0)
            floor = rule["reserve_floor_usd"] + rule["reserve_share"] * saved
        else:
            floor, is_never = torch.full_like(even, most), move >= 0.0
        floor = (floor.clamp(max=most) + most * move).clamp(min=0.0)
        is_never = is_never | ((floor > most) & (move > 0.0))
        if rule["reserve_withheld"] > 0.0 and operating.WITHHELD_HOURS[0] <= hour < operating.WITHHELD_HOURS[1]:
            is_never = is_never | (obs[:, env["coincident_ratio"]] > 0.0 if env["coincident_ratio"] >= 0 else is_never)
        share = torch.sqrt(floor.clamp(max=most) / most)
        offered = acting.RESERVE_WITHHELD + (1.0 - acting.RESERVE_WITHHELD) * share
        return torch.where(is_never, -torch.ones_like(offered), offered)


def _between(base: float, move: torch.Tensor) -> torch.Tensor:
    return base + torch.where(move > 0.0, move * (1.0 - base), move * (base + 1.0))


def _beyond_still(move: torch.Tensor) -> torch.Tensor:
    return torch.sign(move) * ((move.abs() - operating.STILL_BELOW) / (1.0 - operating.STILL_BELOW)).clamp(min=0.0)


def _moved_price(price: torch.Tensor, move: torch.Tensor) -> torch.Tensor:
    held = price.clamp(-operating.FARTHEST_USD, operating.FARTHEST_USD)
    unit = held / operating.PRICE_UNIT_USD  # asinh written out: runtimes have it in float32 alone
    place = torch.sign(unit) * torch.log(unit.abs() + torch.sqrt(unit * unit + 1.0)) + operating.MOST_PRICE_MOVE * move
    moved = 0.5 * (torch.exp(place) - torch.exp(-place)) * operating.PRICE_UNIT_USD
    return torch.where(move == 0.0, price, moved)
