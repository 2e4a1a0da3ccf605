"""Policies: PPO and SAC in one compiled loop with any reward, from settings to a judged run."""
