"""The report of a training: one HTML file that shows what was learnt, and how well."""
