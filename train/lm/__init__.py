"""The small decoder that comes with us, trained on films told in words."""
