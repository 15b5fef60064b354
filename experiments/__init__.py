"""Thin mains behind the `hashgym` command."""
