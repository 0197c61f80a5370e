"""Where events go: files, a database, clips, commands, webhooks, MQTT."""
