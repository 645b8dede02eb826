"""Tests in a real WebUI: ``pytest tests/webui --webui FOLDER``."""
