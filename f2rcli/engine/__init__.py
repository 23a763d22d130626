"""The engine: frames in, denoised frames out, in bounded memory."""
