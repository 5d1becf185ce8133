"""archiver keeps what a seller and Amazon wrote to each other, before Amazon lets it go.

This file holds the version and nothing else, so that importing the package costs nothing.
"""

__version__ = "0.1.0"
