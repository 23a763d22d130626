"""The residual contract: what is removed from a picture must look like its noise."""
