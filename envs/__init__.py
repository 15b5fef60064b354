"""Gymnasium environments over the simulator; importing this package registers their ids."""

from typing import Final

import gymnasium as gym

ENV_IDS: Final = {
    "hashrate": "hashgym/HashrateTuning-v0",
    "cooling": "hashgym/CoolingControl-v0",
    "operation": "hashgym/SiteOperation-v0",
    "coin": "hashgym/CoinSwitching-v0",
    "chip": "hashgym/ChipTuning-v0",
}
"""Gymnasium's id of each task's environment."""

for _task, _id in ENV_IDS.items():
    _module = "chip.env" if _task == "chip" else _task
    _name = _id.removeprefix("hashgym/").removesuffix("-v0")
    gym.register(
        id=_id,
        entry_point=f"hashgym.envs.{_module}:{_name}Env",
        vector_entry_point=f"hashgym.envs.{_module}:{_name}VectorEnv",
    )
