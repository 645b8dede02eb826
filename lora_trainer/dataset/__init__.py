"""From a folder of images to batches: scanning, captions, crops and buckets, the cache, the loader."""
