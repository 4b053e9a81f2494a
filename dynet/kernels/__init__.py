"""Arithmetic on arrays: Numba on the CPU, CUDA on the GPU.

A kernel proper is a compiled function that writes into an output it is given; its twin, beside it,
says the same in CUDA. Around them stands the plain function that allocates the output, runs the
kernel, and turns what the kernel found wrong into a sentence. Where there is no kernel, arrays of
either kind answer to NumPy's functions. Kernels check ids before they touch memory.
"""
