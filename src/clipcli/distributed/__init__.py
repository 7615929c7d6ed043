"""Run the work on a cluster, through Ray Data.

The driver discovers, splits and writes; workers read and decode; actors, which hold the model, encode and rank.
Images are processed by the same code as in the local engine::

    driver: discover -> chunks -> portions -> Feed        (a portion is small: names, or the name of a shard)
    worker: Feed -> read -> decode -> batches of pixels   (Ray tasks, one per portion)
    actor:  batch -> image encoder -> rank -> records     (one per GPU, or per core)
    driver: records -> parts of complete chunks
"""
