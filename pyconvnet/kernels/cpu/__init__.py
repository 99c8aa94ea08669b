"""Kernels for numpy arrays: checked H x W x C x N arrays of one element type in, such arrays out."""
