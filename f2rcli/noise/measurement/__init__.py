"""How noise is measured: samples, fits, spectra, bounds."""
