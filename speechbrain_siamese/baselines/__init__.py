"""Two older designs and plain chance, to compare the model with."""
