"""The measurement backends: one module each, and nothing else."""
