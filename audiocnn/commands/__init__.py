"""What the verbs of the command line do: each module one verb or two."""
