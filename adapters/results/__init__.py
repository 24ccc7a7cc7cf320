"""What a hospital's archive and viewer take: a reading as DICOM Segmentation, structured report and JSON.

Needs ``pip install "raydino[reading-room]"`` (highdicom). Research use only, never a diagnosis.
"""
