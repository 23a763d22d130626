"""Charts and pictures as SVG: one way to plot for reports, noise, training and explanations.

Plots are made from templates (Jinja2, autoescaped). Every chart has a title, axes with units, and
a legend; every picture in false colours has a colour bar.
"""
