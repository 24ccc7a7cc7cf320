"""From a source of films to the dataset artifact.

Reading order: ``header`` (what is read of a DICOM header), ``screen`` (which films are chest
radiographs, with ``examination``'s words), ``decode`` and ``contrast`` and ``orientation`` (the steps of) ``pixels`` (THE ONE way
from stored values to a film), ``deidentify``, ``splits``, ``film`` (all of that for one file, in a
worker), ``pool`` (workers that may crash), ``collect``, ``assemble`` and ``ingest`` (the whole).
"""
