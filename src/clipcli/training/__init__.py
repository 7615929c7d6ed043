"""Contrastive training and fine-tuning on one's own pairs, driven through open_clip's trainer.

``pairs`` reads what the user has, ``settings`` chooses what was not said, ``base_model`` opens the network,
``data`` and ``loss`` are what open_clip's trainer is fed with, ``validation`` measures, ``state``
keeps a run so that it can go on after a kill, ``model_folder`` writes the model folder, ``trainer`` puts it together.
"""
