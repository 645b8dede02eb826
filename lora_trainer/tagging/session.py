"""An ONNX model that runs: on the graphics card where that works, else on the processor, and why."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lora_trainer.tagging.events import Noticed
from lora_trainer.tagging.tagger import BadTagger

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
# Grow by what is asked for, not by powers of two: the card is shared with the checkpoint.
CUDA_OPTIONS = {"arena_extend_strategy": "kSameAsRequested"}
# What onnxruntime raises, none of which share a base of their own.
ERRORS = (
    "EPFail",
    "EngineError",
    "Fail",
    "InvalidArgument",
    "InvalidGraph",
    "InvalidProtobuf",
    "ModelLoaded",
    "NoModel",
    "NoSuchFile",
    "NotImplemented",
    "RuntimeException",
)
QUIET = 4  # fatal errors only: what goes wrong is told by us, once


class Session:
    """A loaded ONNX model with one input and one output that counts.

    ``notice`` says why it does not run on the graphics card, and is None where it does or was not asked to.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        """``device``: ``"auto"``, ``"cuda"`` (the same: it falls back too) or ``"cpu"``. Raises ``BadTagger``."""
        self.path = path
        self.notice: Noticed | None = None
        self._runtime = _runtime()
        self._errors = _errors()
        self._session: Any = (self._open_on_cuda() if device != "cpu" else None) or self._open([CPU])
        if len(self._session.get_inputs()) != 1 or not self._session.get_outputs():
            raise BadTagger("tagger_other_model", field="tagger", name=path, found="inputs")

    @property
    def on_cuda(self) -> bool:
        """Whether the graphics card does the work."""
        return CUDA in self._session.get_providers()

    @property
    def input_shape(self) -> list[Any]:
        """The input's shape; a dimension that may be anything is a name or None."""
        return list(self._session.get_inputs()[0].shape)

    @property
    def outputs(self) -> Any:
        """The last dimension of the first output, a number where the model fixes it."""
        return (self._session.get_outputs()[0].shape or [None])[-1]

    def run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The first output for one batch. A failing graphics card is left for the processor. Raises ``BadTagger``."""
        try:
            return self._run(batch)
        except self._errors as error:
            if not self.on_cuda:
                raise BadTagger("tagger_failed", field="tagger", name=self.path.name, reason=_line(error)) from error
            self.notice = Noticed(key="cuda_failed", values={"reason": _line(error)})
        self._session = self._open([CPU])
        return self.run(batch)

    def close(self) -> None:
        """Give the model's memory back; nothing runs here any more."""
        self._session = None

    def _run(self, batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        found: npt.NDArray[np.float32] = self._session.run([outputs[0].name], {inputs[0].name: batch})[0]
        return found

    def _open_on_cuda(self) -> Any | None:
        """A session on the graphics card; None with a notice where there can be none."""
        version = self._runtime.__version__
        if CUDA not in self._runtime.get_available_providers():
            self.notice = Noticed(key="cuda_not_built", values={"version": version})
            return None
        if not _torch_has_cuda():
            self.notice = Noticed(key="cuda_no_card")
            return None
        try:
            session = self._open([(CUDA, CUDA_OPTIONS), CPU])
        except BadTagger:
            session = None  # the model or the card is at fault: the processor will tell
        if session is not None and CUDA in session.get_providers():
            return session
        self.notice = Noticed(key="cuda_not_loaded", values={"version": version})
        return None

    def _open(self, providers: list[Any]) -> Any:
        options = self._runtime.SessionOptions()
        options.log_severity_level = QUIET
        try:
            return self._runtime.InferenceSession(str(self.path), options, providers=providers)
        except self._errors as error:
            raise BadTagger("tagger_not_onnx", field="tagger", name=self.path, reason=_line(error)) from error


def _runtime() -> Any:
    """onnxruntime, after torch, which brings the CUDA libraries that it needs. Raises ``BadTagger``."""
    try:
        importlib.import_module("torch")
        return importlib.import_module("onnxruntime")
    except (ImportError, OSError) as error:  # OSError: a broken library
        raise BadTagger("tagger_no_runtime", field="tagger", reason=error) from error


def _errors() -> tuple[type[Exception], ...]:
    """The kinds of errors that this version of onnxruntime knows, and what its wrapper raises."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    return (RuntimeError, ValueError, OSError, *(kind for name in ERRORS if (kind := getattr(state, name, None))))


def _torch_has_cuda() -> bool:
    """Whether torch can use a graphics card of NVIDIA's."""
    import torch

    return torch.cuda.is_available() and torch.version.cuda is not None


def _line(error: Exception) -> str:
    """The first line of an error, shortened."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
