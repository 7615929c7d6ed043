"""Contrastive training and fine-tuning on the user's image-text pairs, with open_clip's trainer.

``pairs`` reads the pairs, ``settings`` chooses defaults, ``base_model`` opens the network, ``data`` and ``loss`` are
the inputs of open_clip's trainer, ``validation`` measures, ``state`` saves a run for resuming,
``model_folder`` writes the model folder, and ``trainer`` runs the epochs.
"""
