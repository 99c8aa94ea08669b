"""The version, alone, so that modules get it without other imports."""

__version__ = "0.3.0.dev0"
