"""The process that ``download`` starts: has huggingface_hub fetch one file, as JSON on standard input asks for.

It is run as a file, without the package. It can be ended at any time: what has come is kept and continued later.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    """Fetch; what goes wrong ends the process with the error's own message."""
    sys.path.pop(0)  # this folder, whose modules are none of the library's business
    # Plain HTTP: it resumes in the middle of a file and goes through mirrors, which the hub's own protocol does not.
    os.environ.update(HF_HUB_DISABLE_XET="1", HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_TELEMETRY="1")
    from huggingface_hub import hf_hub_download

    hf_hub_download(**json.load(sys.stdin))


if __name__ == "__main__":
    main()
