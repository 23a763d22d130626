"""The noise measurement: samples, fits, spectra, bounds."""
