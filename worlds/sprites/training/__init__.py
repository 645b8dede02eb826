"""How the Sprites checkpoint was made: VAE, then text encoder, then U-Net, then export."""
