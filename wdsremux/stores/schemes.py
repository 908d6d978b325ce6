"""The stores behind URLs, one row each: what a new store adds, besides its own package.

Help, the message for missing packages, the login hint and the URLs for loaders come from the row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from wdsremux.stores.loader_forms import Forms, az_forms, gs_forms, hub_forms, s3_forms


@dataclass(frozen=True, slots=True)
class Scheme:
    """One kind of store, by the scheme of its URLs."""

    name: str
    form: str
    """How its URLs are written."""
    opener: str
    """The function that takes the URL and how many parts of files may be uploaded at a time.

    By name, and imported when it is used: it needs the packages, and reads its row.
    """
    extra: tuple[str, ...]
    """The packages that it needs besides those of wdsremux: the extra of this name."""
    login_hint: str
    loader_urls: Callable[[str, str | None], Forms]
    """Takes the URL and where the server is, if not where it is for everybody."""


_OBSTORE = "wdsremux.stores.obstore.store:open_object_store"
SCHEMES = {
    row.name: row
    for row in (
        Scheme(
            "s3",
            "s3://BUCKET/PREFIX",
            "wdsremux.stores.s3.store:open_s3",
            ("boto3", "awscrt"),
            "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            s3_forms,
        ),
        Scheme(
            "gs",
            "gs://BUCKET/PREFIX",
            _OBSTORE,
            ("obstore",),
            "set GOOGLE_APPLICATION_CREDENTIALS or run `gcloud auth application-default login`",
            gs_forms,
        ),
        Scheme(
            "az",
            "az://CONTAINER/PREFIX",
            _OBSTORE,
            ("obstore",),
            "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or run `az login`",
            az_forms,
        ),
        Scheme(
            "hf",
            "hf://datasets/USER/NAME[@BRANCH]",
            "wdsremux.stores.hub.store:open_hub_store",
            (),
            "log in with `hf auth login` or set HF_TOKEN",
            hub_forms,
        ),
    )
}
FORMS = " · ".join(row.form for row in SCHEMES.values())
"""How all URLs are written, for help."""
