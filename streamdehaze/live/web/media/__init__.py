"""What the page shows moving: JPEG pictures, MJPEG streams and WebRTC video."""
