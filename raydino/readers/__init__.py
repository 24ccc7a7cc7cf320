"""Sources of films: one reader a file behind the ``Reader`` protocol of ``base``.

``film_table``, ``report_table`` and ``mask_folder`` read what lies beside the films.
"""
