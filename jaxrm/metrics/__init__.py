"""How good is a reward?"""

from jaxrm.metrics.rank import roc_auc, spearman

__all__ = ["roc_auc", "spearman"]
