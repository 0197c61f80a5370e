"""How good a model is, and which rules serve it: no torch, so it runs where models run."""
