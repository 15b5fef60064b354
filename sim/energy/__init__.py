"""What stands behind the meter beside machines: a battery, sun and wind, and the interconnect that all of them share."""
