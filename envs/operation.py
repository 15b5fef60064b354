"""`hashgym/SiteOperation-v0`: power, cooling and commitments of a site at once."""

from .forms.single import SiteEnv
from .forms.vector import SiteVectorEnv


class SiteOperationEnv(SiteEnv):
    """Run a mining site: power and cooling of each zone, and what is offered to the curtailment programme.

    ## Description
    HashrateTuning and CoolingControl at once, where the tariff has one with the commitment to a curtailment programme: what is offered
    is paid for every hour, must be shed when called, and counts from the next local day on. With `coin_choice=True` the policy
    also chooses where hashes are sold.

    ## Action Space
    `Box(-1, 1)`: for each zone the power of HashrateTuning's Box and the cooling of CoolingControl; then the offer, where the tariff has a
    programme; the battery, what is left of sun and wind, and the price from which each hour's reserve is sold, where the site has them; then, with
    `coin_choice`, the market in equal bins. `env.unwrapped.actions` names every entry. With `action="setpoints"` a zone's power is the number of
    a profile. With `action="residual"` 0 is the operator's rule, and each entry moves it.

    ## Observation Space
    A flat float32 `Box` in physical units; `env.unwrapped.table` names every entry with unit, range and meaning.

    ## Reward
    Dollars of the step (`reward="profit"`), or another of `hashgym.envs.batch.rewards.NAMES`, or a function of the batch.

    ## Costs
    `info["cost"]` is the sum of `info["costs"]`; see the table of costs.

    ## Starting State
    Machines hash at their highest profile; the whole commitment is offered. The start is drawn from the split's months, or given by
    `reset(options={"start": "2025-07-01T00:00"})`.

    ## Episode End
    Truncation after the scenario's episode length. Nothing terminates an episode.

    ## Version History
    * v0: first version
    """

    task = "operation"


class SiteOperationVectorEnv(SiteVectorEnv):
    """Many `hashgym/SiteOperation-v0` in one call."""

    task = "operation"
