"""The network as an ONNX graph: the export, and templates that are filled with the weights of a checkpoint."""
