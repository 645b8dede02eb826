"""The LoRA: put into our modules through peft, written and read under kohya's names."""
