"""The reading room, ``raydino serve``: films come by HTTP, DIMSE or from a PACS; results go back and onto a page."""
