"""What hashes are worth: coins and their networks, and pools."""
