"""LoRA Trainer: trains a LoRA on the checkpoint that is loaded and picks the best epoch and weight."""

__version__ = "0.1.0"
