"""`hashgym/CoinSwitching-v0`: what a site mines and at which pool."""

from gymnasium.vector import AutoresetMode

from .forms.single import SiteEnv
from .forms.vector import SiteVectorEnv


class CoinSwitchingEnv(SiteEnv):
    """Choose the coin and the pool at which a site's hashes are sold.

    ## Description
    The machines run the myopic profile. Each market pays for hashes by its coins and its pool's scheme; a change costs minutes without
    paid hashes. The expected hashprice of every market is known; luck is not.

    ## Action Space
    `Discrete(n_markets)`; `env.unwrapped.actions` names the markets.

    ## Observation Space
    A flat float32 `Box` in physical units; `env.unwrapped.table` names every entry with unit, range and meaning.

    ## Reward
    Dollars of the step (`reward="profit"`), or another of `hashgym.envs.batch.rewards.NAMES`, or a function of the batch.

    ## Costs
    `info["cost"]` is the sum of `info["costs"]`; see the table of costs.

    ## Starting State
    Machines hash at their highest profile for the first market. The start is drawn from the split's months, or given by
    `reset(options={"start": "2025-07-01T00:00"})`.

    ## Episode End
    Truncation after the scenario's episode length. Nothing terminates an episode.

    ## Version History
    * v0: first version
    """

    task = "coin"

    def __init__(self, render_mode: str | None = None, **options: object) -> None:
        """Build the environment, by default on a scenario with several markets; `options` are those of `EnvConfig`."""
        super().__init__(render_mode, **{"scenario": "scrypt_shed", **options})


class CoinSwitchingVectorEnv(SiteVectorEnv):
    """Many `hashgym/CoinSwitching-v0` in one call."""

    task = "coin"

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        **options: object,
    ) -> None:
        """Build the environments, by default on a scenario with several markets; `options` are those of `EnvConfig`."""
        super().__init__(num_envs, render_mode, autoreset_mode, **{"scenario": "scrypt_shed", **options})
