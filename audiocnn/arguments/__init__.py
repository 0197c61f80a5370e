"""The verbs and their options: what `--help` shows. Light, imported at every start."""
