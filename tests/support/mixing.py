"""A function whose result depends on which rows it gets together, as the code of its file."""

MIX = """
import numpy as np

def mix(batch):
    # Depends on which rows came together.
    pixels = [np.asarray(image.resize((16, 16))).astype(int) for image in batch["image"]]
    mean = np.mean(pixels, axis=0)
    batch["image"] = [((p + mean) / 2).astype(np.uint8) for p in pixels]
    return batch
"""
