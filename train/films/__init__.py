"""Trajectories with instructions, drawn and embedded: what decoders and interfaces learn from."""
