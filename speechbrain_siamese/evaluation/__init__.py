"""What a model is worth: systems, slices and tables of their figures."""
