"""Several trainings and evaluations in one: what an architecture brings on a data set, and the paper's table."""
