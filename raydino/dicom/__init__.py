"""From a source of films to the dataset artifact.

Reading order: ``header`` (what is read of a DICOM header), ``screen`` (which films are chest
radiographs), ``decode`` and ``contrast`` and ``orientation`` (the steps of) ``pixels`` (THE ONE way
from stored values to a film), ``deidentify``, ``film`` (all of that for one file, in a worker),
``pool`` (workers that may crash) and ``cluster`` (the same on Dask), ``spool``, ``journal`` and
``workplace`` (what is done lies on disk), ``assemble``, ``splits``, ``collect``, ``summary``, ``store``
and ``ingest`` (the whole).
"""
