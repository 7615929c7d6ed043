"""Measurements of clipcli beside its peers; see README.md in this folder."""
