"""The napari plug-in: its manifest is `napari.yaml`; napari itself comes with the extra `napari`.

`runs` needs neither napari nor Qt; `widget` needs both.
"""
