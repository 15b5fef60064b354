"""A site: its parameters and state, and the step that advances zones and settles what they did."""
