"""Work of fixed shapes as CUDA graphs: thousands of kernels that start at once.

torch takes some ten microseconds of the host for every kernel, and a frame has thousands, most of
them shorter than that. CUDA records what a function starts, and starts all of it again by one call
(Nguyen et al., "Accelerating PyTorch with CUDA Graphs", 2021). What is recorded reads and writes
the same memory every time: inputs are copied there, and results are copied out.
"""
