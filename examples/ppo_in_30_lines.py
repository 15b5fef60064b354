"""PPO of stable-baselines3 on 256 sites at once: python examples/ppo_in_30_lines.py [STEPS]."""

import sys

import numpy as np
from stable_baselines3 import PPO

from hashgym.agents.learning.network import normalizer_kwargs
from hashgym.envs.batch.seeding import draw_seeds
from hashgym.envs.forms.sb3 import SiteVecEnv


def main(total_steps: int = 500_000, n_envs: int = 256) -> float:
    """Train and return the profit of the learned policy over a day of the validation months. [USD]"""
    env = SiteVecEnv(n_envs, draw_seeds(0, 0, n_envs), reward="profit_over_rule")
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=32,
        batch_size=n_envs * 8,
        n_epochs=4,
        gamma=0.995,
        seed=0,
        device="cpu",
        policy_kwargs=normalizer_kwargs(env.batch.table),
    )
    model.learn(total_steps)

    held_out = SiteVecEnv(16, draw_seeds(0, 2, 16), split="validation", episode_steps=288)
    observations, profit_usd = held_out.reset(), np.zeros(16)
    for _ in range(288):
        actions, _ = model.predict(observations, deterministic=True)
        observations, _, _, _ = held_out.step(actions)
        profit_usd += held_out.batch.flow("profit_usd")
    print(f"{profit_usd.mean():.0f} USD a day")
    return float(profit_usd.mean())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
