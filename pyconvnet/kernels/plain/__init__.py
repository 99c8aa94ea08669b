"""The kernels in numpy and BLAS: exact in float64, and what runs where no SIMD path does."""
