"""The benchmark of detection: frames, finders, tuning, tables. Its command is ``benchmarks/peers.py``."""
