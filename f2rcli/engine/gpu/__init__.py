"""A clip's way from uploaded planes to downloaded planes, all of it on the device.

The same steps as `yuv.py` and `engine/contract/` take with NumPy and OpenCV, as tensors. They run
on any device, also on a processor, where tests compare them with those; a processor keeps OpenCV,
which is faster there. `benchmarks/gpu.py` counts what
moves between the two.

Colour planes travel in groups: tensors (P, H, W) of planes of one size and kind, luma or all planes
of RGB and gray first, chroma second.
"""
