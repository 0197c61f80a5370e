"""Options of each verb, without the imports that running it needs."""
