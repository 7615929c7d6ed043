"""Contrastive training and fine-tuning on one's own pairs, driven through open_clip's trainer.

``pairs`` reads what the user has, ``settings`` chooses what was not said, ``start`` opens the network,
``data`` and ``objective`` are what open_clip's trainer is fed with, ``validation`` measures, ``state``
keeps a run so that it can go on after a kill, ``result`` writes the model folder, ``run`` puts it together.
"""
