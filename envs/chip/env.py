"""`hashgym/ChipTuning-v0`: frequency, voltage and power limit of one machine whose silicon nobody knows."""

from gymnasium.vector import AutoresetMode

from ...sim.foundation.errors import BadInputError
from ..forms.single import BatchEnv
from ..forms.vector import BatchVectorEnv
from .batch import ChipBatch, ChipConfig
from .render import ChipCanvas


class ChipTuningEnv(BatchEnv[ChipBatch]):
    """Tune one machine on the bench: find the frequency and the voltage that earn most within its limits.

    ## Description
    Every unit needs another voltage: its silicon is drawn with the episode, and so are its leakage, the inlet air, the price of energy
    and the hashprice. Each step sets the machine and measures it for ten minutes; what is read of hashrate and power is noisy. Too
    little voltage makes chips fail their work; too much costs power and heat; a change costs a restart.

    ## Action Space
    `Box(-1, 1, (3,))`: frequency of 0.8 to 1.1 of the rated one, voltage of 0.9 to 1.05 of the stock curve's at that frequency, power limit
    of 0.7 to 1.0 of rated power, above which the firmware lowers the frequency.

    ## Observation Space
    A flat float32 `Box` in physical units; `env.unwrapped.table` names every entry with unit, range and meaning.

    ## Reward
    Dollars of the step over what the machine earns at its rating in the same time, before energy.

    ## Costs
    `chip_over_temp` (75 °C), `hashrate_low` (below 0.8 of rated), `errors` (above 0.02 of work).

    ## Starting State
    The machine runs its stock point.

    ## Episode End
    Truncation after 24 steps. Nothing terminates an episode.

    ## Version History
    * v0: first version
    """

    def __init__(self, render_mode: str | None = None, **options: object) -> None:
        """Build the environment; `options` are those of `ChipConfig`."""
        super().__init__(ChipBatch(ChipConfig.of(**options)), render_mode)

    def _draw_on(self, batch: ChipBatch) -> ChipCanvas:
        return ChipCanvas(batch)

    def _batch_of(self, scenario: object) -> ChipBatch:
        if scenario is not None:
            raise BadInputError(f"options['scenario'] is {scenario!r}; a unit on the bench has none")
        return self.batch

    @property
    def _world(self) -> str:
        return "chip"


class ChipTuningVectorEnv(BatchVectorEnv[ChipBatch]):
    """Many `hashgym/ChipTuning-v0` in one call."""

    def __init__(
        self,
        num_envs: int = 1,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.SAME_STEP,
        **options: object,
    ) -> None:
        """Build the environments; `options` are those of `ChipConfig`."""
        super().__init__(ChipBatch(ChipConfig.of(**options), num_envs), render_mode, autoreset_mode)
