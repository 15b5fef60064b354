"""From a history and a contract to the exogenous series of an environment: what is in force, and what is known of it."""
