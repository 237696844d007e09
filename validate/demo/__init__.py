"""The demonstration: count, predict, calibrate, measure and compare on this machine."""
