"""``python -m raydino``."""

from raydino.cli import main

main()
