"""Chaos: two real daemons on shared real stores under faults at random, and a checker with no code of Majlis in it.

`make prove-chaos` plays ten minutes for each of three seeds; `test_chaos.py` plays a short one.
"""
