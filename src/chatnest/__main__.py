"""``python -m chatnest`` is the command ``chatnest``."""

from chatnest.app.cli import main

main()
