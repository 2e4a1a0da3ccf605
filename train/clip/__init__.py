"""The small CLIP that comes with us: trained on frames of our scenes, its words, its card."""
