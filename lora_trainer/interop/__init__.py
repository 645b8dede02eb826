"""Other programs' configs: kohya's scripts, their graphical front ends, and LoRA files, read and written."""

from lora_trainer.interop.exporting import Exported, to_kohya
from lora_trainer.interop.importing import import_file
from lora_trainer.interop.reading import Imported, Note, Taken

__all__ = ["Exported", "Imported", "Note", "Taken", "import_file", "to_kohya"]
