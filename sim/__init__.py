"""The simulator: physics, history and synthetic history of a mining site. Imports nothing else of HashGym."""
