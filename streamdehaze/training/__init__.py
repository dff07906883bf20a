"""Training AECR-Net: clear pictures made hazy on the fly, data sets as people have them, losses, and the loop."""
