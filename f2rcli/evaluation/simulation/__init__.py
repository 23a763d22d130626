"""Scenes whose truth is known: each module has `scene(frames, rng, ...)`, which makes one."""
