"""QuTiBench (Blott et al. 2021): its tables, figures, statements and measured runs."""
