"""Many environments over one site as arrays: options, tables, kernels, rewards."""
