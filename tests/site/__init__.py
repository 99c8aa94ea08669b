"""The site as built: `python -m tests.site FOLDER`."""
