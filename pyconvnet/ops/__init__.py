"""The blocks of MatConvNet, one file each: help, options and checks; the kernels do the arithmetic."""
