"""What happens to cameras, announced to other programs: by MQTT and by webhook."""
