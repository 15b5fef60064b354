"""Hydra configurations: the folders are the groups, the files beside them the commands."""
