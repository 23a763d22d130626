"""How good denoised clips are: with a clean clip, with noise made on the spot, or with neither.

Everything streams: each frame is seen once and released. Pictures are (C, H, W) float32, 0 = black,
1 = white: three channels RGB, one gray, or the four packed planes of a mosaic.
"""
