"""Fused loops that numba compiles, where it is installed (the extra `fast`).

Each kernel does in one pass over memory what its reference in NumPy, OpenCV or torch does in many;
the reference decides what is right, and runs wherever a kernel does not (see support.py).
"""
