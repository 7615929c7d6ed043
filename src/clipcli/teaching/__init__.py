"""Teach classes by examples: methods on embeddings, their choice by cross-validation, and ``clipcli teach``."""
