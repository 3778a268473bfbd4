"""Lets every test import the helpers of its neighbours by name."""
import pathlib
import sys

for folder in sorted(pathlib.Path(__file__).parent.iterdir()):
    if folder.is_dir() and not folder.name.startswith(('.', '_')):
        sys.path.append(str(folder))
