"""The tab needs gradio, which the newest stack has not: there these tests are passed over."""

from __future__ import annotations

from importlib.util import find_spec

from tests.api.conftest import home, settings

__all__ = ["home", "settings"]

collect_ignore_glob = [] if find_spec("gradio") else ["test_*.py"]
