"""All that is written in LLVM IR: a vector type for the kernels, the matrix kernel that they call, a checksum."""
