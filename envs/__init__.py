"""Gymnasium environments over the simulator; importing this package registers their ids."""

import gymnasium as gym

gym.register(
    id="hashgym/HashrateTuning-v0",
    entry_point="hashgym.envs.hashrate:HashrateTuningEnv",
    vector_entry_point="hashgym.envs.hashrate:HashrateTuningVectorEnv",
)
