"""PPO in one file on `gym.make_vec`, in CleanRL's style: python examples/cleanrl_style.py [UPDATES]."""

import sys

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical

import hashgym.envs  # noqa: F401 (registers the ids)


def main(n_updates: int = 50, n_envs: int = 256, n_steps: int = 32, gamma: float = 0.995) -> list[float]:
    """Train; returns the mean reward of each rollout."""
    torch.manual_seed(0)
    envs = gym.make_vec("hashgym/HashrateTuning-v0", num_envs=n_envs, reward="profit_over_rule")
    low, high = (torch.as_tensor(getattr(envs.single_observation_space, edge)) for edge in ("low", "high"))
    actor = nn.Sequential(nn.Linear(len(low), 64), nn.Tanh(), nn.Linear(64, int(envs.single_action_space.nvec[0])))
    critic = nn.Sequential(nn.Linear(len(low), 64), nn.Tanh(), nn.Linear(64, 1))
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters()], lr=1e-3, eps=1e-5)

    def scaled(observations: np.ndarray) -> torch.Tensor:
        return 2.0 * (torch.as_tensor(observations) - low) / (high - low) - 1.0

    now, curve = scaled(envs.reset(seed=0)[0]), []
    for _ in range(n_updates):
        rollout = []
        with torch.no_grad():
            for _ in range(n_steps):
                action = (choice := Categorical(logits=actor(now))).sample()
                observations, rewards, _, truncated, info = envs.step(action.numpy()[:, None])
                value = critic(scaled(observations))[:, 0]
                if truncated.any():  # an episode is cut off, not over: its last observation has a value
                    value[truncated] = critic(scaled(np.stack(info["final_obs"][truncated])))[:, 0]
                reward, ended = torch.as_tensor(rewards).float(), torch.as_tensor(truncated)
                delta = reward + gamma * value - critic(now)[:, 0]
                rollout.append((now, action, choice.log_prob(action), reward, delta, ended))
                now = scaled(observations)
            obs, actions, log_probs, reward, delta, ended = map(torch.stack, zip(*rollout, strict=True))
            advantage, running = torch.zeros_like(delta), torch.zeros(n_envs)
            for t in reversed(range(n_steps)):
                advantage[t] = running = delta[t] + gamma * 0.95 * ~ended[t] * running
            returns, advantage = advantage + critic(obs)[..., 0], (advantage - advantage.mean()) / advantage.std()
        flat = [x.flatten(0, 1) for x in (obs, actions, log_probs, advantage, returns)]
        for pick in torch.randperm(n_steps * n_envs).repeat(4).split(1024):
            o, a, old, adv, ret = (x[pick] for x in flat)
            ratio = (Categorical(logits=actor(o)).log_prob(a) - old).exp()
            gain = torch.min(ratio * adv, ratio.clip(0.8, 1.2) * adv).mean()
            loss = 0.5 * (critic(o)[:, 0] - ret).pow(2).mean() - gain
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        curve.append(float(reward.mean()))
        print(f"mean reward of a step: {curve[-1]:.4f}")
    return curve


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
