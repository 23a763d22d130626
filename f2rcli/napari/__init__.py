"""The napari plug-in: its manifest is `napari.yaml`; napari itself comes with the extra `napari`.

`files` and `runs` need neither napari nor Qt; `widget` needs both.
"""
