"""From a bundle and samples to window scores and events, without PyTorch."""
