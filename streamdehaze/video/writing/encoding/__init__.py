"""Pictures become packets: the table of codecs, the choice of an encoder, and the encoder itself."""
