"""One thread a test process: several run side by side, and spinning threads slow each other down."""

import os

import torch

os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start
torch.set_num_threads(1)
