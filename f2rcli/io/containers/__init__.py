"""What containers hold and how their bytes lie: packets, time stamps, boxes, sound, tags."""
