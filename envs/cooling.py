"""`hashgym/CoolingControl-v0`: how a site is cooled while its load follows a plan."""

from .forms.single import SiteEnv
from .forms.vector import SiteVectorEnv


class CoolingControlEnv(SiteEnv):
    """Control fans, pads, pumps and set-points of a mining site, and how the load is shared between its zones.

    ## Description
    The machines run the myopic profile, the one that earns most at the known price, never off: a plan that no action changes, so that
    all policies give off the same heat. The policy holds the chips by the machines' fans, sets what the plant aims at (pads of a
    container, supply air of a room, coolant and pump of a loop), and weighs the zones' parts of the load. Cold chips leak less
    power and age slower; fans and pumps cost the cube of their speed; pads cost water; a chiller is dearest where it is hottest.

    ## Action Space
    `Box(-1, 1)`: for each zone chip target and plant target, or pump speed and coolant target, and with several zones its share of the
    load; 0 is where the site's own set-points stand. `env.unwrapped.actions` names every entry with unit and range.

    ## Observation Space
    A flat float32 `Box` in physical units; `env.unwrapped.table` names every entry with unit, range and meaning.

    ## Reward
    Dollars of the step (`reward="profit"`), which hold the cooling's energy, water and wear; or `reward="cooling_energy"`.

    ## Costs
    `info["cost"]` is the sum of `info["costs"]`; `load_missed` counts what the zones' profiles leave of the plan.

    ## Starting State
    Machines hash at their highest profile, warm. The start is drawn from the split's months, or given by
    `reset(options={"start": "2025-07-01T00:00"})`.

    ## Episode End
    Truncation after the scenario's episode length. Nothing terminates an episode.

    ## Version History
    * v0: first version
    """

    task = "cooling"


class CoolingControlVectorEnv(SiteVectorEnv):
    """Many `hashgym/CoolingControl-v0` in one call."""

    task = "cooling"
