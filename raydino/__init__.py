"""raydino: from a DICOM archive of chest radiographs to a frozen self-supervised encoder.

Neighbours: ``adapters`` (light heads on the encoder) and ``bias_audit`` (metrics by age, sex and
population). Research use only, never a diagnosis.
"""

__version__ = "0.1.0"
