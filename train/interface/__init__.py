"""The interface between frames and a frozen decoder: protocols, training, suite, card."""
