"""DLAS (Gibson et al. 2023): published figures, measured runs and the verdict on each observation."""
