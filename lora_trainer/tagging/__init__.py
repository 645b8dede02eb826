"""Tags for images: WD14 models run here, the host's own taggers, and how what they see becomes a caption."""
