"""The same work on many machines, through Ray Data.

The driver discovers, cuts and writes; workers read and decode; actors, which hold the model, encode and rank.
Everything that is done to an image is the code that the local engine uses::

    driver: discover -> chunks -> portions -> Feed        (a portion is small: names, or one shard's name)
    worker: Feed -> read -> decode -> batches of pixels   (Ray tasks, one a portion)
    actor:  batch -> image encoder -> rank -> records     (one a GPU, or one a core)
    driver: records -> parts of chunks that are whole
"""
