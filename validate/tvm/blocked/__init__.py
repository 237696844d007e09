"""Kernels on channels packed in blocks of one vector register, their schedules and tiles."""
