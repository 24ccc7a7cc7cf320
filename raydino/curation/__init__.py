"""From a raw pool to a balanced, deduplicated, leak-free pretraining set (DINOv2 §3; Vo et al. 2405.15613)."""
