"""What power costs: the parts of a contract, and the settlement that makes the bill."""
