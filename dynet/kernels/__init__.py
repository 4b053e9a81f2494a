"""Arithmetic on arrays: Numba on the CPU, CuPy's own operations on the GPU.

A kernel proper is a compiled function that writes into an output it is given. Beside it stands
the plain function that allocates the output, runs the kernel, and turns what the kernel found
wrong into a sentence. Kernels check ids before they touch memory.
"""
