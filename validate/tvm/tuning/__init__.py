"""Tuning: MetaSchedule, the choice among algorithms, and timing in forked children."""
