"""Real files and public services become histories: mappings, readers, clocks, quality, connectors."""
