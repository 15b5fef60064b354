"""`hashgym/HashrateTuning-v0`: how hard the machines of a site run, every five minutes."""

from .forms.single import SiteEnv
from .forms.vector import SiteVectorEnv


class HashrateTuningEnv(SiteEnv):
    """Choose the power of each zone of a mining site; its firmware does the cooling.

    ## Description
    Every five minutes the operator of a site sets the profile of each zone's machines, or lets them sleep. Electricity
    is paid at the site's tariff, hashes are paid at the hashprice of the moment. A change of profile costs a restart,
    waking up takes the firmware's boot time and wears the machines. The last published price is what is known: a
    15-minute real-time price is known only after its interval.

    ## Action Space
    `action="discrete"`: `MultiDiscrete([6] * n_zones)`; 0 is off, 1…5 the myopic profile (the one that earns most at the
    known price, never off) moved by -2, -1, 0, +1, +2 profiles. `action="box"`: `Box(-1, 1, (n_zones,))`; below -0.8 the
    zone sleeps, above -0.4 it wakes, in between it stays as it is; -0.8…1 is the power target from the lowest to the
    highest profile, snapped to the nearest. Under both a zone that falls asleep sleeps for at least an hour. `action="profile"`:
    `MultiDiscrete`; 0 is off, k is the firmware's profile k - 1. Rules and planners use it; a learner has to find out
    the arithmetic of prices by itself.

    ## Observation Space
    A flat float32 `Box` in physical units; `env.unwrapped.table` names every entry with unit, range and meaning.

    ## Reward
    Dollars of the step (`reward="profit"`), or dollars above the myopic profile's steady profit
    (`reward="profit_over_rule"`), over the site's revenue at rated hashrate and 50 USD/(PH/s)/day.

    ## Costs
    `info["cost"]` is the sum of `info["costs"]`; see the table of costs.

    ## Starting State
    Machines hash at their highest profile. The start is drawn from the split's months, or given by
    `reset(options={"start": "2025-07-01T00:00"})`.

    ## Episode End
    Truncation after the scenario's episode length (7 days). Nothing terminates an episode.

    ## Version History
    * v0: first version
    """

    task = "hashrate"


class HashrateTuningVectorEnv(SiteVectorEnv):
    """Many `hashgym/HashrateTuning-v0` in one call."""

    task = "hashrate"
