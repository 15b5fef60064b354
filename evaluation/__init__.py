"""How policies are judged: paired runs, tuned rules, bound, intervals."""
