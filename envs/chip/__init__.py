"""`hashgym/ChipTuning-v0`: one machine on the bench."""
