"""The reading room: an encoder and its adapters at work beside a PACS, over HTTP and DICOM. Research use only."""
