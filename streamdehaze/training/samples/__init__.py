"""What the network is trained on: pairs of hazy and clear views, cut, varied and put together on the fly."""
