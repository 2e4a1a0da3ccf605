"""Scores pictures and videos against sentences: a table, and a picture of it. `jaxrm score` runs it."""

from jaxrm.score.program import ScoreConfig, score_path

__all__ = ["ScoreConfig", "score_path"]
