"""Every artifact on disk: its schema, its version, how it is written whole or not at all.

``header`` is the frame (``artifact.json``, atomic directories, fingerprints), ``table`` the parquet
columns; one further file for each artifact says what it holds. Nothing here imports torch.
"""
