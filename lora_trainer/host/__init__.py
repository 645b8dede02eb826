"""Hosts: whoever owns the checkpoint and draws pictures; the WebUI, ourselves, or memory in tests."""
