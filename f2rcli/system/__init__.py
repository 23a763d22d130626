"""The computer a run is on: its processors, memory and signals."""
