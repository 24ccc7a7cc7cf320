"""Light heads on a frozen encoder: findings, masks and reports.

Read ``base`` (what an adapter is), ``fit`` and ``predict`` (the one way each), ``descent`` (the loop of the heads that
learn step by step), ``bundle`` (the files), then a head: ``classification.linear``, ``segmentation.linear``,
``report.decoder``.
"""
