"""Pictures of results: charts (needs the `plots` extra) and labelled videos."""
