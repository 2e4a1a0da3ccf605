"""Bodies and tasks: `make(name)` returns an environment, `names()` lists them."""

from envs.registry import make, names
from envs.types import Env, State, episode_done, reset_where_done

__all__ = ["Env", "State", "episode_done", "make", "names", "reset_where_done"]
