"""Making the frames of all cameras clear: the scheduler, the batches, the sizes the engine is ready for, the
quality."""
