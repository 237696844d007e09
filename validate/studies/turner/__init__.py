"""Turner et al. 2018: compression and the memory it takes."""
