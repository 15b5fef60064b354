"""Policies that see a site as a set of zones: the same network for each, so that one that was trained on four zones runs on sixteen.

Source:
    M. Zaheer et al., "Deep Sets", NeurIPS 2017, arXiv:1703.06114 (each element beside the mean of all: equivariant to their order); J. Gilmer et al.,
    "Neural message passing for quantum chemistry", ICML 2017, arXiv:1704.01212 (what neighbours send along declared links).
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import nn

from ...envs.batch.core import Batch
from ...sim.foundation.errors import BadInputError
from .network import TableNormalizer

PLAIN: Final = "plain"
ZONES: Final = "zones"
LINKS: Final = "links"
FORMS: Final = (PLAIN, ZONES, LINKS)
"""Forms of a policy by name: one network over all observations, one for each zone beside the mean of all, and the same with messages along links."""

_OF_ZONE: Final = re.compile(r"zone(\d+)_(.+)")


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where zones stand in observations and actions.

    site: columns of observations that no zone has. zones: columns of each zone, in the same order, (n_zones, n_entries). links: what zone i takes of zone
    j's exhaust, (n_zones, n_zones), rows summing to 1 or 0. per_zone, rest: entries of an action, or choices of a discrete one, for each zone and for the site.
    """

    site: npt.NDArray[np.int64]
    zones: npt.NDArray[np.int64]
    links: npt.NDArray[np.float32]
    per_zone: int
    rest: int

    @classmethod
    def of(cls, batch: Batch) -> "Layout":
        """Return the layout of an environment; raises BadInputError where zones do not choose among the same."""
        found: dict[int, dict[str, int]] = {}
        site = list[int]()
        for column, entry in enumerate(batch.table):
            match = _OF_ZONE.fullmatch(entry.name)
            if match is None:
                site.append(column)
            else:
                found.setdefault(int(match[1]), {})[match[2]] = column
        names = list(found.get(0, {}))
        if batch.config.stack > 1 or not names:
            raise BadInputError(
                "agent.form: zones must be observed, and once: env.stack is 1, env.observations names some"
            )
        zones = np.array([[found[z][name] for name in names] for z in range(batch.n_zones)])
        links = np.zeros((batch.n_zones, batch.n_zones), np.float32)
        for link in batch.site.links:
            links[link.zone, link.source] += link.share
        links /= np.maximum(links.sum(axis=1, keepdims=True), 1e-9)
        space = batch.action_space()
        if isinstance(space, spaces.MultiDiscrete):
            choices = set(map(int, space.nvec))
            if len(choices) > 1:
                raise BadInputError(
                    f"agent.form: zones have {sorted(choices)} choices; use env.action=discrete, which has as many for all"
                )
            return cls(np.array(site), zones, links, choices.pop(), 0)
        if not isinstance(space, spaces.Box):
            raise BadInputError("agent.form: the action must be one of zones")
        of_zones = [entry.name for entry in batch.actions if _OF_ZONE.fullmatch(entry.name)]
        return cls(np.array(site), zones, links, len(of_zones) // batch.n_zones, len(batch.actions) - len(of_zones))


class ZoneNet(nn.Module):
    """A network that gives every zone, and the site, features of its own, whatever the number of zones and their order."""

    site: torch.Tensor
    zones: torch.Tensor
    links: torch.Tensor

    def __init__(self, layout: Layout, sizes: list[int], activation: type[nn.Module], *, has_links: bool) -> None:
        """Build the layers: the first takes a zone's own entries and the site's, each further one the zone's, the mean and what neighbours send."""
        super().__init__()
        self.register_buffer("site", torch.as_tensor(layout.site), persistent=False)
        self.register_buffer("zones", torch.as_tensor(layout.zones), persistent=False)
        self.register_buffer("links", torch.as_tensor(layout.links), persistent=False)
        self.has_links, self.width, self.activation = has_links, sizes[-1], activation()
        n_site, n_own = len(layout.site), layout.zones.shape[1]
        self.own, self.shared = nn.ModuleList(), nn.ModuleList()
        for size in sizes:
            self.own.append(nn.Linear(n_own, size))
            self.shared.append(nn.Linear(n_site, size))
            n_own, n_site = size * (1 + has_links), 2 * size
        self.n_out = 2 * self.width

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features of zones, (n, n_zones, width), and of the site, (n, 2 · width): its own beside the mean of the zones'."""
        site, zones = values[:, self.site], values[:, self.zones]
        for own, shared in zip(self.own, self.shared, strict=True):
            told = shared(site)
            zones = self.activation(own(zones) + told[:, None, :])
            mean = zones.mean(dim=1)
            site = torch.cat([self.activation(told), mean], dim=1)
            if self.has_links:
                zones = torch.cat([zones, self.links @ zones], dim=2)
        return zones, site


class ActorBody(ZoneNet):
    """The policy's network: features of all zones and of the site behind each other, (n, n_zones · n_zone_features + n_site_features)."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the features."""
        zones, site = super().forward(values)
        return torch.cat([zones.flatten(1), site], dim=1)


class CriticBody(ZoneNet):
    """The value's network: features of the site, the mean of its zones among them."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        """Return the features, (n, n_site_features)."""
        return super().forward(values)[1]


class ZoneHead(nn.Module):
    """Actions of zones and of the site, by one layer for all zones and one for the site."""

    def __init__(self, layout: Layout, n_zone_features: int, n_site_features: int) -> None:
        """Build both layers."""
        super().__init__()
        self.n_zones, self.n_zone_features = len(layout.zones), n_zone_features
        self.zone = nn.Linear(n_zone_features + n_site_features, layout.per_zone)
        self.rest = nn.Linear(n_site_features, layout.rest) if layout.rest else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return means of a Box action, or logits, in the order of the action's entries."""
        cut = self.n_zones * self.n_zone_features
        zones, site = features[:, :cut].reshape(-1, self.n_zones, self.n_zone_features), features[:, cut:]
        beside = site[:, None, :].expand(-1, self.n_zones, -1)
        of_zones: torch.Tensor = self.zone(torch.cat([zones, beside], dim=2)).flatten(1)
        return of_zones if self.rest is None else torch.cat([of_zones, self.rest(site)], dim=1)


class Bodies(nn.Module):
    """Both networks in the form in which stable-baselines3 keeps them."""

    def __init__(self, layout: Layout, sizes: list[int], activation: type[nn.Module], *, has_links: bool) -> None:
        """Build both."""
        super().__init__()
        self.policy_net = ActorBody(layout, sizes, activation, has_links=has_links)
        self.value_net = CriticBody(layout, sizes, activation, has_links=has_links)
        self.n_zone_features = self.policy_net.width * (1 + has_links)
        self.n_site_features = self.policy_net.n_out
        self.latent_dim_pi = len(layout.zones) * self.n_zone_features + self.n_site_features
        self.latent_dim_vf = self.value_net.n_out

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features of policy and value."""
        return self.policy_net(features), self.value_net(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features of the policy."""
        found: torch.Tensor = self.policy_net(features)
        return found

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """Return the features of the value."""
        found: torch.Tensor = self.value_net(features)
        return found


class ZonePolicy(ActorCriticPolicy):
    """PPO's policy over zones: swap two zones in an observation and their actions are swapped."""

    def __init__(self, *args: Any, layout: Layout, has_links: bool = False, **kwargs: Any) -> None:
        """Take the layout of the environment."""
        self.layout, self.has_links = layout, has_links
        super().__init__(*args, **kwargs)

    def _build_mlp_extractor(self) -> None:
        sizes: Any = self.net_arch
        self.mlp_extractor: Any = Bodies(self.layout, sizes, self.activation_fn, has_links=self.has_links)

    def _build(self, lr_schedule: Schedule) -> None:
        super()._build(lr_schedule)
        bodies = self.mlp_extractor
        self.action_net: Any = ZoneHead(self.layout, bodies.n_zone_features, bodies.n_site_features)
        self.action_net.apply(lambda module: self.init_weights(module, gain=FIRST_GAIN))
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]


FIRST_GAIN: Final = 0.01
"""Gain of the first weights of a head. Source: stable-baselines3."""


def alike(policy: nn.Module, layout: Layout) -> None:
    """Let a policy normalise the same entry of all zones alike: by the mean of what each was standardised by."""
    for part in policy.modules():
        if isinstance(part, TableNormalizer):
            for values in (part.center, part.spread):
                values[layout.zones] = values[layout.zones].mean(dim=0, keepdim=True).expand(len(layout.zones), -1)


def moved_to(weights: dict[str, torch.Tensor], policy: ZonePolicy, layout: Layout) -> dict[str, torch.Tensor]:
    """Return a zone policy's weights for another number of zones.

    Args:
        weights: Of the policy that was trained.
        policy: The one that takes them, of another number of zones.
        layout: Layout of the policy that was trained.

    Raises:
        BadInputError: Zones or site are observed otherwise.
    """
    own = policy.state_dict()
    if (layout.zones.shape[1], len(layout.site)) != (policy.layout.zones.shape[1], len(policy.layout.site)):
        raise BadInputError(
            "a policy of zones moves to sites whose zones and site are observed as those that it was trained on"
        )
    found = dict(own)
    for name, tensor in weights.items():
        if own[name].shape == tensor.shape and "features_extractor" not in name:
            found[name] = tensor
    for name in own:
        if name.rpartition(".")[2] in ("center", "spread") and name in weights:
            values = own[name].clone()
            values[policy.layout.site] = weights[name][layout.site]
            values[policy.layout.zones] = weights[name][layout.zones[0]]
            found[name] = values
        elif name.endswith("farthest"):
            found[name] = weights[name]
    if "log_std" in own:
        zone, rest = layout.per_zone, layout.rest
        first = weights["log_std"]
        spread = first[: len(layout.zones) * zone].reshape(-1, zone).mean(dim=0).repeat(len(policy.layout.zones))
        found["log_std"] = torch.cat([spread, first[len(first) - rest :]]) if rest else spread
    return found
