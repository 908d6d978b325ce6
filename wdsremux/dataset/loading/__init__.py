"""Reading a finished dataset back for training: by index, or as a pipeline of batches."""
