if __name__ != "pyconvnet.compat":
    raise ImportError(
        f"this folder is the package pyconvnet.compat; it was imported as {__name__!r}: import pyconvnet.compat"
    )
