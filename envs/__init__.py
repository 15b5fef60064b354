"""Gymnasium environments over the simulator; importing this package registers their ids."""

import gymnasium as gym

for _module, _name in (
    ("hashrate", "HashrateTuning"), ("cooling", "CoolingControl"), ("operation", "SiteOperation"), ("coin", "CoinSwitching"),
    ("chip.env", "ChipTuning"),
):  # fmt: skip
    gym.register(
        id=f"hashgym/{_name}-v0",
        entry_point=f"hashgym.envs.{_module}:{_name}Env",
        vector_entry_point=f"hashgym.envs.{_module}:{_name}VectorEnv",
    )
