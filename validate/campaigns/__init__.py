"""Many measured runs over a resumable store, on one machine or a fleet of boards."""
