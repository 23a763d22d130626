"""How good a denoiser is: against a clean clip, with noise made on the spot, or with neither."""
