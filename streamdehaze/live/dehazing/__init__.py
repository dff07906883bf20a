"""Making the frames of all cameras clear: the intake, the batches, the sizes the engine is ready for, the quality."""
