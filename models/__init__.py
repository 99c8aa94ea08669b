if __name__ != "pyconvnet.models":
    raise ImportError(
        f"this folder is the package pyconvnet.models; it was imported as {__name__!r}: import pyconvnet.models"
    )
