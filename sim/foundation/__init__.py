"""What everything in the simulator stands on: compilation, threads, noise, constants, errors, checks, files."""
