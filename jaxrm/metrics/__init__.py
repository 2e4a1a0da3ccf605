"""How good is a reward? Arrays in, float out.

Where a figure is undefined (a constant has no correlation, one class no ROC) it is nan, never 0. NaN among
the inputs is refused with a ValueError: a reward that fails must not look like a mediocre one.
"""

from jaxrm.metrics.bootstrap import bootstrap_interval
from jaxrm.metrics.confusion import InstructionConfusion, instruction_confusion
from jaxrm.metrics.controls import controls_table, perturbations, score_with_controls
from jaxrm.metrics.epic import canonical_shaping, epic_distance, pearson
from jaxrm.metrics.false_positives import false_discovery_rate, false_positive_rate, success_threshold
from jaxrm.metrics.pairs import kendall_tau_b, pairwise_accuracy
from jaxrm.metrics.rank import roc_auc, spearman, value_order_correlation
from jaxrm.metrics.suite import PerturbationRow, Scores, perturbation_rows, perturbation_table

__all__ = [
    "InstructionConfusion",
    "PerturbationRow",
    "Scores",
    "bootstrap_interval",
    "canonical_shaping",
    "controls_table",
    "epic_distance",
    "false_discovery_rate",
    "false_positive_rate",
    "instruction_confusion",
    "kendall_tau_b",
    "pairwise_accuracy",
    "pearson",
    "perturbation_rows",
    "perturbation_table",
    "perturbations",
    "roc_auc",
    "score_with_controls",
    "spearman",
    "success_threshold",
    "value_order_correlation",
]
