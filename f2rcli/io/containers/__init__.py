"""The contents and byte layout of containers: packets, time stamps, boxes, sound, tags."""
