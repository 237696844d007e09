"""What is counted about a resolved graph: costs, layers, live activations and totals."""
