"""Which channels of which tensors stand or fall together: one module of rules per operator family."""
